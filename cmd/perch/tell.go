package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"perch/cmd/internal/api"
	"perch/mqtt"
	"perch/mqtt/broker"
	"perch/storage"
)

// teller connects the outbox with the broker. A nil teller tells nobody.
type teller struct {
	client *mqtt.Client
	store  *storage.Store
	broker string // without credentials
}

// mqttOptions says which broker. The one inside Perch is used when the
// configuration names no other.
func (p *parts) mqttOptions() mqtt.Options {
	m := p.cfg.MQTT
	user, password := m.Credentials()
	opt := mqtt.Options{
		URL: m.URL.Reveal(), Username: user, Password: password.Reveal(), CAFile: string(m.CAFile), CertFile: string(m.CertFile),
		KeyFile: string(m.KeyFile), Prefix: m.Prefix, Device: p.device, ClientID: m.ClientID, Log: p.log,
	}
	if opt.URL == "" {
		opt.URL = "mqtt://" + m.Embedded.Listen
	}
	return opt
}

// brokerName is the broker without credentials.
func (p *parts) brokerName() string {
	if s := p.cfg.MQTT.URL.String(); s != "" {
		return s
	}
	return "mqtt://" + p.cfg.MQTT.Embedded.Listen
}

// openTelling starts the broker inside Perch, if one is wanted, and prepares
// the connection.
func (a *app) openTelling() error {
	if addr := a.cfg.MQTT.Embedded.Listen; addr != "" {
		b, err := broker.Start(addr, a.log)
		if err != nil {
			return err
		}
		a.onClose(b.Close)
	}
	if !a.tells() {
		return nil
	}
	client, err := mqtt.New(a.mqttOptions(), a.store)
	if err != nil {
		return err
	}
	a.mqtt = &teller{client: client, store: a.store, broker: a.brokerName()}
	return nil
}

// run keeps the connection until ctx is done.
func (t *teller) run(ctx context.Context) error {
	t.client.Run(ctx)
	return nil
}

// settle gives the last messages time to reach a broker that is there.
func (t *teller) settle(limit time.Duration) {
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) && t.store.Stats().OutboxCount > 0 && t.client.Stats().State == mqtt.Connected {
		time.Sleep(20 * time.Millisecond)
	}
}

func (t *teller) status() api.MQTT {
	if t == nil {
		return api.MQTT{}
	}
	s := t.client.Stats()
	out := api.MQTT{Enabled: true, Connected: s.State == mqtt.Connected, Broker: t.broker, Since: s.ConnectedSince, Waiting: t.store.Stats().OutboxCount}
	if !out.Connected {
		out.Error = s.LastError
	}
	return out
}

func (t *teller) stats() api.MQTTStats {
	if t == nil {
		return api.MQTTStats{}
	}
	s := t.client.Stats()
	return api.MQTTStats{Connects: s.Retries, Confirmed: s.Delivered, Waiting: t.store.Stats().OutboxCount}
}

// deliverLimit is how long perch process waits for the broker when its work is
// done; what does not make it stays in the outbox.
const deliverLimit = 10 * time.Second

// deliver sends what waits in the outbox. A broker that is away is no failure
// of the run, whose record is safe in the database, so the caller only says so.
func (p *parts) deliver(ctx context.Context) error {
	if !p.tells() {
		return nil
	}
	opt := p.mqttOptions()
	opt.Publisher, opt.ClientID = true, ""
	client, err := mqtt.New(opt, p.store)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliverLimit)
	defer cancel()
	if err := client.Drain(ctx); err != nil {
		if errors.Is(err, context.DeadlineExceeded) && client.Stats().LastError != "" {
			err = errors.New(client.Stats().LastError)
		}
		return fmt.Errorf("%d messages wait in the outbox for %s and go out with the next run: %w", p.store.Stats().OutboxCount, p.brokerName(), err)
	}
	return nil
}
