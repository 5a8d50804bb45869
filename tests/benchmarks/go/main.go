// A gateway as plain as it can be in Go: it checks events, appends them to a file, and answers after fdatasync.
// Calls that wait share one write and one sync; while one commit runs, the next gathers. It knows no duplicates across
// restarts, no models, no keys and no metrics. It takes the address to listen on and the file to write.
package main

import (
	"context"
	"io"
	"log"
	"net"
	"os"
	"sync"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"questline/bench/telemetry"
)

const service = "questline.ingest.v1.Ingest"

// raw leaves messages as the bytes that came.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (raw) Name() string { return "raw" }

type commit struct {
	data [][]byte
	done chan struct{}
}

type gateway struct {
	waiting chan commit
	mutex   sync.Mutex
	known   map[string]struct{}
}

// run commits, in one write and one sync, all that was handed in since the last commit began.
func (g *gateway) run(file *os.File) {
	for first := range g.waiting {
		taken := []commit{first}
		for more := true; more; {
			select {
			case next := <-g.waiting:
				taken = append(taken, next)
			default:
				more = false
			}
		}
		var all []byte
		for _, one := range taken {
			for _, data := range one.data {
				all = append(protowire.AppendVarint(all, uint64(len(data))), data...)
			}
		}
		if _, err := file.Write(all); err != nil {
			log.Fatal(err)
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			log.Fatal(err)
		}
		for _, one := range taken {
			close(one.done)
		}
	}
}

// answer stores the events of one request and answers each: 1 accepted, 2 duplicate, 3 rejected.
func (g *gateway) answer(request []byte) []byte {
	var store [][]byte
	var answers []byte
	for len(request) > 0 {
		number, kind, size := protowire.ConsumeTag(request)
		if size < 0 || number != 1 || kind != protowire.BytesType {
			break
		}
		data, more := protowire.ConsumeBytes(request[size:])
		if more < 0 {
			break
		}
		request = request[size+more:]
		event, outcome := &telemetry.Event{}, uint64(1)
		if proto.Unmarshal(data, event) != nil || !keeps(event) {
			outcome = 3
		} else if !g.claim(event.GetEventId()) {
			outcome = 2
		} else {
			store = append(store, data)
		}
		one := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), event.GetEventId())
		one = protowire.AppendVarint(protowire.AppendTag(one, 2, protowire.VarintType), outcome)
		answers = protowire.AppendBytes(protowire.AppendTag(answers, 1, protowire.BytesType), one)
	}
	if len(store) > 0 {
		waits := commit{store, make(chan struct{})}
		g.waiting <- waits
		<-waits.done
	}
	return answers
}

func keeps(event *telemetry.Event) bool {
	id, name, player := len(event.GetEventId()), len(event.GetEventName()), len(event.GetUserPseudoId())
	return id > 0 && id <= 128 && name > 0 && name <= 128 && player > 0 && player <= 256 && event.GetEventTimestamp() > 0 &&
		len(event.GetEventParams()) <= 256 && len(event.GetUserProperties()) <= 256
}

func (g *gateway) claim(id string) bool {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if _, found := g.known[id]; found {
		return false
	}
	g.known[id] = struct{}{}
	return true
}

func send(server any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var request []byte
	if err := decode(&request); err != nil {
		return nil, err
	}
	answer := server.(*gateway).answer(request)
	return &answer, nil
}

// stream answers in order, and works on many requests at once.
func stream(server any, calls grpc.ServerStream) error {
	answers := make(chan chan []byte, 256)
	go func() {
		defer close(answers)
		for {
			var request []byte
			if calls.RecvMsg(&request) != nil {
				return
			}
			own := make(chan []byte, 1)
			answers <- own
			go func() { own <- server.(*gateway).answer(request) }()
		}
	}()
	for own := range answers {
		answer := <-own
		if err := calls.SendMsg(&answer); err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

func main() {
	file, err := os.OpenFile(os.Args[2], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	own := &gateway{waiting: make(chan commit, 4096), known: map[string]struct{}{}}
	go own.run(file)
	server := grpc.NewServer(grpc.ForceServerCodec(raw{}))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: service,
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Send", Handler: send}},
		Streams:     []grpc.StreamDesc{{StreamName: "Stream", Handler: stream, ServerStreams: true, ClientStreams: true}},
	}, own)
	log.Fatal(server.Serve(listener))
}
