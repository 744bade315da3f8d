// The Python language host for the engine of this release. Newer hosts than that of SDK 3.79.0 are not published as Go modules, and that
// one cannot write programs (GenerateProgram), which `pulumi import` asks for. So every other call is passed on to it, as it came, and that
// one is answered here with the generator of the engine's own release. The old host lies beside this program, under the name in hostName.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pulumi/pulumi/pkg/v3/codegen/hcl2/syntax"
	"github.com/pulumi/pulumi/pkg/v3/codegen/pcl"
	"github.com/pulumi/pulumi/pkg/v3/codegen/python"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
	"github.com/pulumi/pulumi/pkg/v3/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	generate        = "/pulumirpc.LanguageRuntime/GenerateProgram"
	hostName        = "pulumi-language-python-host"
	messageBytesMax = 400 << 20 // what the engine's own plugins accept
)

// frame is a message as it came over the wire.
type frame struct{ bytes []byte }

// frames leaves messages as they came, and encodes our own.
type frames struct{}

func (frames) Name() string { return "proto" }
func (frames) Marshal(v any) ([]byte, error) {
	switch m := v.(type) {
	case *frame:
		return m.bytes, nil
	case proto.Message:
		return proto.Marshal(m)
	}
	return nil, fmt.Errorf("cannot encode %T", v)
}
func (frames) Unmarshal(b []byte, v any) error {
	switch m := v.(type) {
	case *frame:
		m.bytes = append([]byte(nil), b...)
		return nil
	case proto.Message:
		return proto.Unmarshal(b, m)
	}
	return fmt.Errorf("cannot decode %T", v)
}

var _ encoding.Codec = frames{}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run starts the old host with our arguments, names a port as a plugin does, and serves until the old host ends.
func run() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	host := exec.Command(filepath.Join(filepath.Dir(self), hostName), os.Args[1:]...)
	host.Stderr = os.Stderr
	out, err := host.StdoutPipe()
	if err != nil {
		return err
	}
	if err := host.Start(); err != nil {
		return err
	}
	defer func() { _ = host.Process.Kill() }()
	reader := bufio.NewReader(out)
	line, err := reader.ReadString('\n')
	if err != nil {
		return fmt.Errorf("the language host did not name its port: %w", err)
	}
	go func() { _, _ = io.Copy(os.Stdout, reader) }()
	conn, err := grpc.NewClient("127.0.0.1:"+strings.TrimSpace(line),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(frames{}), grpc.MaxCallRecvMsgSize(messageBytesMax)))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.ForceServerCodec(frames{}), grpc.MaxRecvMsgSize(messageBytesMax),
		grpc.UnknownServiceHandler(func(_ any, in grpc.ServerStream) error { return serve(conn, in) }))
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() { _ = host.Wait(); os.Exit(0) }()
	return server.Serve(listener)
}

// serve answers one call: itself if it asks for a program, else with what the old host says.
func serve(conn *grpc.ClientConn, in grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(in)
	if method == generate {
		var asked frame
		if err := in.RecvMsg(&asked); err != nil {
			return err
		}
		var request pulumirpc.GenerateProgramRequest
		if err := proto.Unmarshal(asked.bytes, &request); err != nil {
			return err
		}
		answer, err := program(&request)
		if err != nil {
			return err
		}
		return in.SendMsg(answer)
	}
	ctx := in.Context()
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		ctx = metadata.NewOutgoingContext(ctx, md)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	both := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	out, err := conn.NewStream(ctx, both, method)
	if err != nil {
		return err
	}
	go func() {
		for {
			var each frame
			if err := in.RecvMsg(&each); err != nil {
				_ = out.CloseSend()
				return
			}
			if err := out.SendMsg(&each); err != nil {
				return
			}
		}
	}()
	for {
		var each frame
		if err := out.RecvMsg(&each); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
		if err := in.SendMsg(&each); err != nil {
			return err
		}
	}
}

// program writes what the engine describes in its own language (PCL) in Python.
func program(request *pulumirpc.GenerateProgramRequest) (*pulumirpc.GenerateProgramResponse, error) {
	loader, err := schema.NewLoaderClient(request.LoaderTarget)
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	parser := syntax.NewParser()
	for path, text := range request.Source {
		if err := parser.ParseFile(strings.NewReader(text), path); err != nil {
			return nil, err
		}
	}
	if parser.Diagnostics.HasErrors() {
		return &pulumirpc.GenerateProgramResponse{Diagnostics: plugin.HclDiagnosticsToRPCDiagnostics(parser.Diagnostics)}, nil
	}
	var options []pcl.BindOption
	if !request.Strict {
		options = append(options, pcl.NonStrictBindOptions()...)
	}
	bound, diagnostics, err := pcl.BindProgram(parser.Files, schema.NewCachedLoader(loader), options...)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	if diagnostics.HasErrors() {
		return &pulumirpc.GenerateProgramResponse{Diagnostics: plugin.HclDiagnosticsToRPCDiagnostics(diagnostics)}, nil
	}
	if bound == nil {
		return nil, status.Error(codes.Unknown, "no program")
	}
	source, more, err := python.GenerateProgram(bound)
	if err != nil {
		return nil, status.Error(codes.Unknown, err.Error())
	}
	return &pulumirpc.GenerateProgramResponse{Source: source, Diagnostics: plugin.HclDiagnosticsToRPCDiagnostics(append(diagnostics, more...))}, nil
}
