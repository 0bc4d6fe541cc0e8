package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"time"

	"perch/cmd/internal/blocks/sinks"
	"perch/cmd/internal/deliver"
	"perch/pipeline"
)

// openDeliveries prepares what sends the messages that workflows owe to others.
// check decides where workflows of clients may reach; nil is nowhere.
func (p *parts) openDeliveries(check func(ctx context.Context, rawURL string) (string, error)) (err error) {
	opt := deliver.Options{Store: p.store, Check: check, Server: p.mailServer(), Device: p.device, Log: p.log}
	if p.tells() {
		opt.Broker = p.mqttOptions()
	}
	p.deliveries, err = deliver.New(opt)
	return err
}

func (p *parts) mailServer() deliver.MailServer {
	c := p.cfg.SMTP
	user, password := c.Credentials()
	return deliver.MailServer{Host: c.Host, Port: c.Port, Username: user, Password: password.Reveal(), From: c.From, Plain: !c.StartTLS}
}

// sinkOptions are for workflows of the device's owner.
func (p *parts) sinkOptions() sinks.Options {
	opt := sinks.Options{Brokers: p.brokerNames(), AllowWrite: p.cfg.WriteFolders(), Send: p.sendNow}
	if p.cfg.SMTP.Host != "" {
		opt.MailFrom = p.cfg.SMTP.From
	}
	return opt
}

var errNoDeliveries = errors.New("nothing is sent while a workflow is only being looked at")

// sendNow makes one attempt at a delivery whose answer a step waits for.
func (p *parts) sendNow(ctx context.Context, d pipeline.Delivery) error {
	if p.deliveries == nil {
		return errNoDeliveries
	}
	return p.deliveries.Send(ctx, d)
}

// brokerNames are the addresses by which a workflow may mean the device's own
// broker.
func (p *parts) brokerNames() []string {
	if !p.tells() {
		return nil
	}
	u, err := url.Parse(p.mqttOptions().URL)
	if err != nil {
		return nil // the connection says so
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = map[string]string{"mqtts": "8883", "ssl": "8883", "ws": "80", "wss": "443"}[u.Scheme]
	}
	if port == "" {
		port = "1883"
	}
	names := []string{net.JoinHostPort(host, port)}
	if ip := net.ParseIP(host); host == "localhost" || ip.IsLoopback() || ip.IsUnspecified() {
		names = append(names, net.JoinHostPort("localhost", port), net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port))
	}
	return names
}

// settleDeliveries gives what workflows owe a last chance; the rest stays in
// the database.
func (p *parts) settleDeliveries(ctx context.Context, limit time.Duration) error {
	return p.deliveries.Drain(context.WithoutCancel(ctx), limit)
}
