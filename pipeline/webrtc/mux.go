package webrtc

import (
	"errors"
	"log/slog"
	"net"
	"syscall"

	"github.com/pion/ice/v4"
	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"

	"perch/pipeline"
)

// receiveBuffer is how many bytes may wait in the kernel until they are read.
const receiveBuffer = 4 << 20

// mux is the UDP port that all viewers share.
type mux struct {
	*ice.UDPMuxDefault
	conn *net.UDPConn
}

// listen opens the port. It binds no particular interface: a device's Wi-Fi may
// come up long after Perch has.
func listen(address string, log *slog.Logger) (*mux, error) {
	fail := func(err error) error {
		e := &pipeline.Error{Op: "open WebRTC port", On: "udp " + address, Kind: pipeline.BadConfig, Err: err}
		if errors.Is(err, syscall.EADDRINUSE) {
			e.Hint = "another program, or another Perch, uses this port: stop it or choose another one"
		}
		return e
	}
	addr, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, fail(err)
	}
	conn, err := net.ListenUDP("udp", addr)
	if err != nil {
		return nil, fail(err)
	}
	// All clients share the port: what a burst of one upload does not find room for
	// is lost, and some clients' SCTP never sends its last packets again. The kernel
	// gives as much of this as net.core.rmem_max allows.
	if err := conn.SetReadBuffer(receiveBuffer); err != nil {
		return nil, errors.Join(fail(err), conn.Close())
	}
	std, err := stdnet.NewNet()
	if err != nil {
		return nil, errors.Join(fail(err), conn.Close())
	}
	m := ice.NewUDPMuxDefault(ice.UDPMuxParams{
		UDPConn: conn, Net: &freshNet{std}, Logger: &logger{log: log, scope: "ice"},
	})
	return &mux{m, conn}, nil
}

// freshNet asks the system for its interfaces each time; pion's own asks once
// and then announces addresses that the device no longer has.
type freshNet struct{ *stdnet.Net }

func (n *freshNet) Interfaces() ([]*transport.Interface, error) {
	fresh, err := stdnet.NewNet()
	if err != nil {
		return nil, err
	}
	return fresh.Interfaces()
}
