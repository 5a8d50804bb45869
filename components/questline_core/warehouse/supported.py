"""What of GoogleSQL the embedded warehouse answers; all else is refused instead of answered wrongly.

Names are sqlglot's classes. Each one here is either the same in DuckDB or has a rule in rules/, and the tests compare
it with GoogleSQL's reference engine.
"""

from __future__ import annotations

from sqlglot import exp

_QUERY = """
    Select From Where Group Having Qualify Order Ordered Limit Offset With CTE Subquery Table TableAlias Alias
    Aliases Join Union Intersect Except Distinct Star Column Identifier Dot Tuple Paren Unnest Window WindowSpec
    Exists In Lateral
"""
_VALUES = """
    Literal RawString Boolean Null Parameter Var Array Struct PropertyEQ Bracket DataType DataTypeParam ColumnDef
    Interval WeekStart AtTimeZone ByteString
"""
_OPERATORS = """
    Add Sub Mul Div Neg And Or Not Is EQ NEQ GT GTE LT LTE Between Like DPipe NullSafeEQ NullSafeNEQ BitwiseAnd
    BitwiseOr BitwiseXor BitwiseNot BitwiseLeftShift BitwiseRightShift Case If Cast TryCast
"""
_FUNCTIONS = """
    Abs Sign Floor Ceil Round Trunc Pow Sqrt Exp Ln Log Greatest Least Coalesce Nullif SafeDivide IntDiv Mod
    SafeFunc IsNan IsInf Rand Uuid Sin Cos Tan Atan Atan2 Substring RegexpExtract RegexpReplace RegexpLike
    RegexpExtractAll Split StrPosition Replace Trim Upper Lower Length StartsWith EndsWith Reverse Repeat Left
    Right Pad Concat ArrayToString MD5 LowerHex Date DateFromParts Timestamp Datetime TsOrDsToDatetime
    TimestampTrunc DateTrunc DatetimeTrunc DateAdd DateSub TimestampAdd TimestampSub DatetimeAdd DatetimeSub
    DateDiff TimestampDiff DatetimeDiff UnixToTime UnixSeconds UnixMillis UnixMicros UnixDate Extract CurrentDate
    CurrentTimestamp TimeToStr TsOrDsToDate TsOrDsToTimestamp StrToDate String GenerateSeries GenerateDateArray
    ArraySize ArrayConcat ArrayReverse FarmFingerprint
    StrToTime ParseDatetime GenerateTimestampArray JSONExtractScalar JSONPath JSONPathRoot JSONPathKey
    JSONPathSubscript LastDay SHA2 ToBase64 FromBase64 Hex Unhex Unicode Chr Translate Initcap Levenshtein SafeAdd
    SafeSubtract SafeMultiply Format Asin Acos Sinh Cosh Tanh Cbrt Encode Decode
"""
_AGGREGATES = """
    Count CountIf Sum Avg Min Max AnyValue HavingMax ArgMax ArgMin ArrayAgg IgnoreNulls RespectNulls GroupConcat
    LogicalOr LogicalAnd Stddev StddevSamp StddevPop Variance VariancePop Corr CovarPop CovarSamp ApproxDistinct
    ApproxQuantiles RowNumber Rank DenseRank PercentRank CumeDist Ntile Lag Lead FirstValue LastValue NthValue
    PercentileCont PercentileDisc BitwiseAndAgg BitwiseOrAgg BitwiseXorAgg
"""

SUPPORTED = frozenset(
    getattr(exp, name) for names in (_QUERY, _VALUES, _OPERATORS, _FUNCTIONS, _AGGREGATES) for name in names.split()
)
