// Either end of calls between Chancery and containerd's own implementation of ttrpc.
//
//	ttrpc-peer server SOCKET    serves interop.v1.Echo until it is ended
//	ttrpc-peer client SOCKET    makes calls to interop.v1.Echo, and prints a line for each: what was called, and what came
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"github.com/gogo/protobuf/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const service = "interop.v1.Echo"

func main() {
	if len(os.Args) != 3 {
		fail(errors.New("usage: ttrpc-peer server|client SOCKET"))
	}
	switch os.Args[1] {
	case "server":
		fail(serve(os.Args[2]))
	case "client":
		connection, err := net.Dial("unix", os.Args[2])
		if err != nil {
			fail(err)
		}
		call(ttrpc.NewClient(connection))
	default:
		fail(fmt.Errorf("neither server nor client: %s", os.Args[1]))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func serve(socket string) error {
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	server.Register(service, map[string]ttrpc.Method{
		"Echo": func(_ context.Context, unmarshal func(interface{}) error) (interface{}, error) {
			var request types.BytesValue
			if err := unmarshal(&request); err != nil {
				return nil, err
			}
			return &request, nil
		},
		// Fails with the code that is the only byte of the request.
		"Fail": func(_ context.Context, unmarshal func(interface{}) error) (interface{}, error) {
			var request types.BytesValue
			if err := unmarshal(&request); err != nil {
				return nil, err
			}
			code := codes.Code(request.Value[0])
			return nil, status.Errorf(code, "as asked: %d", code)
		},
		// Waits for the deadline of its caller.
		"Sleep": func(ctx context.Context, _ func(interface{}) error) (interface{}, error) {
			<-ctx.Done()
			return nil, status.FromContextError(ctx.Err()).Err()
		},
		"Metadata": func(ctx context.Context, _ func(interface{}) error) (interface{}, error) {
			metadata, _ := ttrpc.GetMetadata(ctx)
			values, _ := metadata.Get("colour")
			return &types.BytesValue{Value: []byte(strings.Join(values, ","))}, nil
		},
	})
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	return server.Serve(context.Background(), listener)
}

func call(client *ttrpc.Client) {
	background := context.Background()
	for _, size := range []int{0, 1, 1000, 1 << 20} {
		request := &types.BytesValue{Value: bytes.Repeat([]byte{7}, size)}
		var reply types.BytesValue
		err := client.Call(background, service, "Echo", request, &reply)
		fmt.Printf("Echo %d: %s %v\n", size, outcome(err), bytes.Equal(request.Value, reply.Value))
	}
	for code := 1; code <= 16; code++ {
		err := client.Call(background, service, "Fail", &types.BytesValue{Value: []byte{byte(code)}}, &types.BytesValue{})
		fmt.Printf("Fail %d: %s\n", code, outcome(err))
	}
	metadata := ttrpc.MD{}
	metadata.Set("colour", "red", "green")
	var colours types.BytesValue
	err := client.Call(ttrpc.WithMetadata(background, metadata), service, "Metadata", &types.BytesValue{}, &colours)
	fmt.Printf("Metadata: %s %s\n", outcome(err), colours.Value)

	fmt.Printf("Missing: %s\n", outcome(client.Call(background, service, "Missing", &types.BytesValue{}, &types.BytesValue{})))
	fmt.Printf("Nobody: %s\n", outcome(client.Call(background, "interop.v1.Nobody", "Echo", &types.BytesValue{}, &types.BytesValue{})))

	// What the server says, for a deadline that has passed before the call, and what a client says that waits no longer.
	short, cancel := context.WithTimeout(background, 50*time.Millisecond)
	err = client.Call(short, service, "Sleep", &types.BytesValue{}, &types.BytesValue{})
	cancel()
	fmt.Printf("Sleep: %v\n", errors.Is(err, context.DeadlineExceeded) || status.Code(err) == codes.DeadlineExceeded)

	var wait sync.WaitGroup
	var lock sync.Mutex
	equal := 0
	for number := 0; number < 200; number++ {
		wait.Add(1)
		go func(number int) {
			defer wait.Done()
			request := &types.BytesValue{Value: []byte(fmt.Sprint(number))}
			var reply types.BytesValue
			if err := client.Call(background, service, "Echo", request, &reply); err == nil && bytes.Equal(request.Value, reply.Value) {
				lock.Lock()
				equal++
				lock.Unlock()
			}
		}(number)
	}
	wait.Wait()
	fmt.Printf("Concurrent: %d\n", equal)
}

func outcome(err error) string {
	if err == nil {
		return "OK"
	}
	if _, ok := status.FromError(err); !ok {
		return "no status: " + err.Error()
	}
	return fmt.Sprintf("%s: %s", status.Code(err), status.Convert(err).Message())
}
