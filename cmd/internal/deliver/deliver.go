// Package deliver sends what workflows owe to others than the device's own
// consumers: webhooks, mail, Slack, messages to brokers. Each is a
// [pipeline.Delivery], stored with the result that caused it and tried until it
// arrives, is refused for good, or its time is over; the latter two leave an
// event "delivery.failed".
//
// A delivery arrives at least once. It may arrive twice when the answer to the
// first attempt was lost. Webhooks carry the header Idempotency-Key, the same on
// each attempt, for those who mind.
//
// Destinations do not wait for each other. One that fails rests for a while
// that doubles each time, and so does the delivery that failed. To a broker
// messages go one by one in their order; elsewhere several go at once and one
// that keeps failing does not hold up the others.
package deliver

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"perch/mqtt"
	"perch/pipeline"
	"perch/storage"
)

// The kinds of deliveries.
const (
	Webhook = "webhook"
	Mail    = "smtp"
	Slack   = "slack"
	MQTT    = "mqtt"
)

// Options say how to deliver. Zero values mean the defaults named here.
type Options struct {
	Store *storage.Store

	// Check decides whether a guarded delivery may reach a URL and returns the
	// URL to open, in which an address may stand for the name. nil: none may.
	Check func(ctx context.Context, rawURL string) (pinned string, err error)

	Server MailServer   // the device's own mail server
	Broker mqtt.Options // the device's own broker; without a URL there is none
	Device string       // names the device to other brokers

	Parallel     int           // deliveries under way to one destination; 4
	Destinations int           // destinations served at a time, the others wait; 16
	Attempt      time.Duration // limit of one attempt that has none of its own; 30 s
	RetryMin     time.Duration // first delay before trying again, doubled each time; 2 s
	RetryMax     time.Duration // the longest delay; 10 min

	RootCAs  *x509.CertPool // who vouches for servers; nil: the system's
	SlackAPI string         // https://slack.com/api

	Log *slog.Logger // nil: slog.Default()
}

const (
	defaultParallel     = 4
	defaultDestinations = 16
	defaultAttempt      = 30 * time.Second
	defaultRetryMin     = 2 * time.Second
	defaultRetryMax     = 10 * time.Minute
	maxRest             = time.Minute           // of a destination, unless it asks for more
	maxAfter            = time.Hour             // that a server may ask us to wait
	scanGap             = 50 * time.Millisecond // between looks at what is due
	scanEvery           = time.Minute           // at the latest
	grace               = 3 * time.Second       // for attempts under way when stopping
	storeTimeout        = 40 * time.Second      // storage itself gives up earlier and says why
	clockStep           = 2 * time.Second       // by which the wall clock must jump to count as set
)

// A Worker delivers what the store holds. Call Run or Drain, once at a time;
// Send and Stats at any time.
type Worker struct {
	opt     Options
	trusted *http.Client // for workflows of the device's owner
	guarded *http.Client // for those of clients
	brokers brokers

	stats counters

	mu   sync.Mutex // guards last
	last string
}

// New prepares a worker. It opens nothing. Errors have Kind BadConfig.
func New(opt Options) (*Worker, error) {
	opt.Parallel = orElse(opt.Parallel, defaultParallel)
	opt.Destinations = orElse(opt.Destinations, defaultDestinations)
	opt.Attempt = orElse(opt.Attempt, defaultAttempt)
	opt.RetryMin = orElse(opt.RetryMin, defaultRetryMin)
	opt.RetryMax = max(orElse(opt.RetryMax, defaultRetryMax), opt.RetryMin)
	opt.SlackAPI = orElse(opt.SlackAPI, "https://slack.com/api")
	opt.Log = orElse(opt.Log, slog.Default())
	w := &Worker{opt: opt}
	w.trusted = opt.client((&net.Dialer{}).DialContext, http.ProxyFromEnvironment)
	w.guarded = opt.client(w.dialGuarded, nil)
	w.brokers.all = map[brokerKey]*link{}
	if opt.Broker.URL != "" {
		if _, err := mqtt.NewSender(opt.Broker); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Close ends connections that are kept for later. Run and Drain do so by
// themselves; it is for workers whose Send was used alone.
func (w *Worker) Close() {
	w.brokers.close(0)
	w.trusted.CloseIdleConnections()
	w.guarded.CloseIdleConnections()
}

// Send makes one attempt at a delivery, which need not be in the store. ctx
// should have a deadline.
func (w *Worker) Send(ctx context.Context, d pipeline.Delivery) error {
	switch d.Kind {
	case Webhook:
		return attempt(ctx, d, w.sendRequest)
	case Mail:
		return attempt(ctx, d, w.sendLetter)
	case Slack:
		return attempt(ctx, d, w.sendPost)
	case MQTT:
		return attempt(ctx, d, w.sendPublication)
	}
	return final(pipeline.Unsupported, fmt.Errorf("nobody delivers the kind %q", d.Kind))
}

func attempt[T any](ctx context.Context, d pipeline.Delivery, send func(context.Context, *T) error) error {
	var job T
	if err := json.Unmarshal(d.Body, &job); err != nil {
		return final(pipeline.BadInput, fmt.Errorf("its body cannot be read: %w", err))
	}
	return send(ctx, &job)
}

// owed makes a delivery of a job.
func owed(kind, to string, job any, created time.Time, keep time.Duration) (pipeline.Delivery, error) {
	body, err := json.Marshal(job)
	if err != nil {
		return pipeline.Delivery{}, fmt.Errorf("encode delivery to %s: %w", to, err)
	}
	return pipeline.Delivery{Kind: kind, To: to, Body: body, Created: created, Expires: created.Add(keep)}, nil
}
