package sinks

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"perch/cmd/internal/deliver"
	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

// The test binary is also the process that runs on a small disk.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PERCH_SINKS_DISK"); dir != "" {
		writeToASmallDisk(dir)
		return
	}
	os.Exit(m.Run())
}

// spec is a workflow of one step named sink, whose properties are given as
// JSON; $steps.v.value, $inputs.p and $inputs.image can be selected.
func spec(typ, properties string) string {
	return fmt.Sprintf(`{"version": "1.0",
	"inputs": [{"type": "WorkflowImage", "name": "image"}, {"type": "WorkflowParameter", "name": "p", "default_value": "P & p"}],
	"steps": [{"type": "test/value@v1", "name": "v"}, {"type": %q, "name": "sink", %s}],
	"outputs": [{"type": "JsonField", "name": "error", "selector": "$steps.sink.error_status"},
		{"type": "JsonField", "name": "message", "selector": "$steps.sink.message"},
		{"type": "JsonField", "name": "all", "selector": "$steps.sink.*"}]}`, typ, properties)
}

// env is what the program lends; its clock is moved by the test.
type env struct {
	workflow.Env
	mu  sync.Mutex
	now time.Time
}

func newEnv() *env {
	e := &env{now: workflowtest.Start()}
	e.Now = func() time.Time { e.mu.Lock(); defer e.mu.Unlock(); return e.now }
	e.JPEG = func(p pipeline.Picture, quality int) ([]byte, error) {
		return fmt.Appendf(nil, "JPEG\x00%dx%d q%d", p.Width, p.Height, quality), nil
	}
	return e
}

func (e *env) pass(d time.Duration) { e.mu.Lock(); defer e.mu.Unlock(); e.now = e.now.Add(d) }

func harness(t *testing.T, o Options, e *env, typ, properties string, values ...workflow.Value) *workflowtest.Harness {
	t.Helper()
	if len(values) == 0 {
		values = []workflow.Value{workflow.IntOf(7)}
	}
	return workflowtest.New(t, spec(typ, properties), &e.Env, workflow.Options{}, nil, Manifests(o), []*workflow.Manifest{workflowtest.Values(values...)})
}

// status is what the sink put out: error, throttled, message.
func status(h *workflowtest.Harness) string { return h.JSON("all") }

func wantStatus(t *testing.T, h *workflowtest.Harness, failed, throttled bool, message string) {
	t.Helper()
	want := fmt.Sprintf(`{"error_status":%v,"throttling_status":%v,"message":%s}`, failed, throttled, workflow.AppendString(nil, message))
	if got := status(h); got != want {
		t.Errorf("status %s\nwant   %s", got, want)
	}
}

// refused compiles and binds a specification that must not do.
func refused(t *testing.T, o Options, e *env, typ, properties string) string {
	t.Helper()
	g, err := workflow.Compile([]byte(spec(typ, properties)), workflow.NewLibrary(Manifests(o), []*workflow.Manifest{workflowtest.Values(workflow.IntOf(1))}), &e.Env)
	if err == nil {
		var engine *workflow.Engine
		if engine, err = g.Bind(&e.Env, workflow.Options{}); err == nil {
			engine.Close()
			t.Fatal("it is accepted")
		}
	}
	return err.Error()
}

// notifiers are the blocks that share cooldown, fire_and_forget and the rest.
var notifiers = map[string]string{
	"roboflow_core/webhook_sink@v1":       `"url": "http://127.0.0.1:1/x", "method": "POST"`,
	"roboflow_core/email_notification@v1": `"subject": "s", "message": "m", "sender_email": "a@example.org", "receiver_email": "b@example.org", "smtp_server": "127.0.0.1", "sender_email_password": "secret"`,
	"roboflow_core/email_notification@v2": `"subject": "s", "message": "m", "receiver_email": "b@example.org"`,
	"roboflow_core/slack_notification@v1": `"slack_token": "xoxb-secret", "channel": "#c", "message": "m"`,
}

func TestNotifiersInTheBackground(t *testing.T) {
	for typ, properties := range notifiers {
		t.Run(typ, func(t *testing.T) {
			e := newEnv()
			h := harness(t, Options{MailFrom: "perch@example.org"}, e, typ, properties+`, "cooldown_seconds": 2.5`)
			r := h.Blank()
			if len(r.Deliveries) != 1 {
				t.Fatalf("%d deliveries", len(r.Deliveries))
			}
			d := r.Deliveries[0]
			if d.Kind == "" || d.To == "" || strings.Contains(d.To, "secret") || !d.Created.Equal(workflowtest.Start()) || !d.Expires.Equal(workflowtest.Start().Add(defaultKeep)) {
				t.Errorf("delivery %+v", d)
			}
			wantStatus(t, h, false, false, "Notification sent in the background task")
			e.pass(2 * time.Second)
			if r := h.Blank(); len(r.Deliveries) != 0 {
				t.Error("the cooldown does not count")
			}
			wantStatus(t, h, false, true, "Sink cooldown applies")
			e.pass(time.Second)
			if r := h.Blank(); len(r.Deliveries) != 1 {
				t.Error("the cooldown does not end")
			}
		})
	}
}

func TestNotifiersThatWait(t *testing.T) {
	for typ, properties := range notifiers {
		t.Run(typ, func(t *testing.T) {
			e := newEnv()
			var fail error
			asked := 0
			o := Options{MailFrom: "perch@example.org", Send: func(ctx context.Context, d pipeline.Delivery) error {
				if asked++; d.Body == nil {
					t.Error("nothing to send")
				}
				if _, bounded := ctx.Deadline(); !bounded {
					t.Error("a frame may wait for ever")
				}
				return fail
			}}
			h := harness(t, o, e, typ, properties+`, "fire_and_forget": false, "cooldown_seconds": 1`)
			r := h.Blank()
			if asked != 1 || len(r.Deliveries) != 0 {
				t.Errorf("asked %d times, %d deliveries", asked, len(r.Deliveries))
			}
			wantStatus(t, h, false, false, "Notification sent successfully")
			e.pass(time.Second)
			fail = fmt.Errorf("the answer is 500")
			h.Blank()
			if got := status(h); !strings.HasPrefix(got, `{"error_status":true,"throttling_status":false,"message":"Failed to send `) || !strings.Contains(got, "Internal error details: the answer is 500") {
				t.Errorf("status %s", got)
			}
			h.Blank() // attempts count, not successes
			wantStatus(t, h, false, true, "Sink cooldown applies")
			if asked != 2 {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

func TestSinksThatAreTurnedOff(t *testing.T) {
	forbidden := Options{MailFrom: "perch@example.org", AllowWrite: []string{t.TempDir()}, Send: func(context.Context, pipeline.Delivery) error {
		t.Error("something was sent")
		return nil
	}}
	for typ, properties := range notifiers {
		e := newEnv()
		h := harness(t, forbidden, e, typ, properties+`, "disable_sink": true, "fire_and_forget": false`)
		if r := h.Blank(); len(r.Deliveries) != 0 {
			t.Error("something is owed")
		}
		wantStatus(t, h, false, false, "Sink was disabled by parameter `disable_sink`")
	}
	all := map[string]string{
		"mqtt_writer_sink@v1":              `"host": "", "topic": "a", "message": "b"`,
		"roboflow_core/local_file_sink@v1": `"content": "$steps.v.value", "output_mode": "separate_files", "target_directory": "x"`,
	}
	for typ, properties := range notifiers {
		all[typ] = properties
	}
	for typ, properties := range all {
		e := newEnv()
		e.DisableSinks = true
		o := forbidden
		o.MailFrom = "" // nor is anything missed that would not be used
		h := harness(t, o, e, typ, properties, workflow.StringOf("text"))
		if r := h.Blank(); len(r.Deliveries) != 0 {
			t.Errorf("%s: something is owed", typ)
		}
		if h.JSON("error") != "false" || h.JSON("message") != `"Sink was disabled by workflow execution policy"` {
			t.Errorf("%s: %s", typ, status(h))
		}
	}
	if left, err := os.ReadDir(forbidden.AllowWrite[0]); err != nil || len(left) != 0 {
		t.Errorf("written %v, %v", left, err)
	}
}

// What clients' workflows owe is marked, so that the guard decides.
func TestDeliveriesOfClientsAreGuarded(t *testing.T) {
	all := map[string]string{"mqtt_writer_sink@v1": `"host": "broker.example.org", "port": 1883, "topic": "a", "message": "b"`}
	for typ, properties := range notifiers {
		all[typ] = properties
	}
	for _, guarded := range []bool{false, true} {
		for typ, properties := range all {
			h := harness(t, Options{Guarded: guarded, MailFrom: "perch@example.org"}, newEnv(), typ, properties)
			if got := strings.Contains(string(h.Blank().Deliveries[0].Body), `"guarded":true`); got != guarded {
				t.Errorf("%s: guarded %v, want %v", typ, got, guarded)
			}
		}
	}
}

func TestWhatIsTooLargeIsSaid(t *testing.T) {
	for typ, properties := range map[string]string{
		"roboflow_core/webhook_sink@v1": `"url": "http://127.0.0.1:1/x", "method": "POST", "multi_part_encoded_files": {"f": "$steps.v.value"}`,
		"mqtt_writer_sink@v1":           `"topic": "a", "message": "$steps.v.value"`,
	} {
		size := 8 << 20
		if strings.HasPrefix(typ, "mqtt") {
			size = 999_999 // of text; the store takes it
		}
		h := harness(t, Options{}, newEnv(), typ, properties, workflow.BytesOf(make([]byte, size)))
		_, err := h.Try(workflowtest.Picture(64, 48, 128))
		if err == nil && h.JSON("error") != "true" {
			t.Errorf("%s: %s", typ, status(h))
		}
	}
}

var _ = []job{(*deliver.Request)(nil), (*deliver.Letter)(nil), (*deliver.Post)(nil)}
