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
