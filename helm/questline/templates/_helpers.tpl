{{- define "questline.labels" -}}
app.kubernetes.io/name: questline
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* Takes a list of the root and the name of a part. */}}
{{- define "questline.selector" -}}
app.kubernetes.io/name: questline
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "questline.image" -}}
{{- $root := index . 0 }}{{- $part := index . 1 }}{{- $images := $root.Values.images }}{{- $own := index $images $part -}}
{{- if $images.repository }}{{ $images.repository }}/{{ $part }}{{ else }}questline-{{ $part }}{{ end -}}
{{- if $own.digest }}@{{ $own.digest }}{{ else }}:{{ $own.tag | default $images.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end }}

{{- define "questline.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "questline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "questline.addresses" -}}
- name: QUESTLINE_HOME
  value: /var/questline
- name: QUESTLINE_MODEL_HOST
  value: kserve:{{ .Release.Namespace }}?account=serving{{ if .Values.storage.enabled }}&claim={{ include "questline.claim" . }}&root=/var/questline{{ end }}
{{- with .Values.addresses.broker }}
- name: QUESTLINE_BROKER
  value: {{ . | quote }}
{{- end }}
{{- with .Values.addresses.warehouse }}
- name: QUESTLINE_WAREHOUSE
  value: {{ . | quote }}
{{- end }}
{{- with .Values.addresses.modelStore }}
- name: QUESTLINE_MODEL_STORE
  value: {{ . | quote }}
{{- end }}
{{- with .Values.addresses.otlp }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "questline.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "questline.claim" -}}
{{- .Values.storage.existingClaim | default (printf "%s-home" .Release.Name) }}
{{- end }}

{{- define "questline.volumes" -}}
- name: tmp
  emptyDir: {}
- name: home
  {{- if .Values.storage.enabled }}
  persistentVolumeClaim:
    claimName: {{ include "questline.claim" . }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end }}

{{- define "questline.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: home
  mountPath: /var/questline
{{- end }}

{{/* Takes a list of the root and the name of a part. */}}
{{- define "questline.placing" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.spread.zones }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "questline.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
