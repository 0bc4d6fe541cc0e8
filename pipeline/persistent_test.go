package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"perch/pipeline"
	"perch/pipeline/pipelinetest"
)

func TestALossInterruptsARunOrEndsIt(t *testing.T) {
	gone := &pipeline.Error{Op: "read", Kind: pipeline.Gone, Err: errors.New("connection reset")}
	notYet := &pipeline.Error{Op: "open", Kind: pipeline.NotFound, Err: errors.New("no such stream")}
	no := &pipeline.Error{Op: "open", Kind: pipeline.Refused, Err: errors.New("401 Unauthorized")}
	some := func(err error) *pipelinetest.Source {
		return &pipelinetest.Source{N: 20, Every: 100 * time.Millisecond, Err: err, Info: pipeline.StreamInfo{Live: true, Decoder: "first"}}
	}
	ever := &pipelinetest.Source{N: -1, Every: 100 * time.Millisecond, Info: pipeline.StreamInfo{Live: true, Decoder: "second", Fallback: "the first is taken"}}
	for _, tt := range []struct {
		name   string
		plays  []*pipelinetest.Source // the last again and again
		runs   int
		phases string
		reason pipeline.Reason // of the first run
		cause  string          // in its errors, or of the state
	}{
		{"it is back", []*pipelinetest.Source{some(gone), {Err: gone}, {Err: notYet}, ever}, 1, "[connecting live stalled live]", pipeline.Stopped, ""},
		{"it is back twice", []*pipelinetest.Source{some(gone), some(gone), ever}, 1, "[connecting live stalled live stalled live]", pipeline.Stopped, ""},
		{"it ends its stream", []*pipelinetest.Source{some(nil), ever}, 1, "[connecting live stalled live]", pipeline.Stopped, ""},
		{"it stays away", []*pipelinetest.Source{some(gone), {Err: gone}}, 1, "[connecting live stalled lost]", pipeline.SourceLost, "connection reset"},
		{"it says no", []*pipelinetest.Source{some(gone), {Err: no}}, 1, "[connecting live stalled refused]", pipeline.Failed, "401"},
		{"it was never there", []*pipelinetest.Source{{Err: gone}}, 0, "[connecting lost]", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec, n := &pipelinetest.Recorder{}, 0
				next := func() (pipeline.Source, error) {
					n++
					return tt.plays[min(n, len(tt.plays))-1], nil
				}
				var cam *pipeline.Camera
				cam = newCamera(rec, func(int) pipeline.Source {
					first, _ := next()
					return &pipeline.Persistent{First: first, Again: next, Wait: pipeline.Backoff{Min: time.Second, Max: 4 * time.Second}, Lost: cam.Interrupted, Log: quiet}
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := cam.Run(ctx); err != nil {
					t.Fatal(err)
				}
				// A state is told again when its cause is another.
				if got := fmt.Sprint(slices.Compact(phases(t, rec))); got != tt.phases {
					t.Errorf("phases %s, want %s", got, tt.phases)
				}
				if len(rec.Completed) != tt.runs {
					t.Fatalf("%d runs, want %d", len(rec.Completed), tt.runs)
				}
				if tt.runs == 0 {
					return
				}
				if c := rec.Completed[0]; c.Termination != tt.reason || tt.cause != "" && !strings.Contains(fmt.Sprint(c.Errors), tt.cause) {
					t.Errorf("the run ended for %s: %v", c.Termination, c.Errors)
				}
				for i, r := range rec.Results[1:] {
					if was := rec.Results[i]; r.Frame.Seq != was.Frame.Seq+1 || r.Frame.PTS <= was.Frame.PTS {
						t.Fatalf("frame %d at %v comes after %d at %v", r.Frame.Seq, r.Frame.PTS, was.Frame.Seq, was.Frame.PTS)
					}
				}
				if state, _ := cam.Status(); tt.reason == pipeline.Stopped && (state.Decoder != "second" || state.Fallback == "") {
					t.Errorf("the stream that came instead is not told of: %+v", state)
				}
				for _, s := range tt.plays {
					if s.Lent() != 0 {
						t.Errorf("%d frames are still on loan", s.Lent())
					}
				}
			})
		})
	}
}

// slow is a source that takes its time to open.
type slow struct {
	*pipelinetest.Source
	delay time.Duration
}

func (s slow) Run(ctx context.Context, out pipeline.Outlet) error {
	time.Sleep(s.delay)
	return s.Source.Run(ctx, out)
}

// times writes down when frames came and when they say that they were.
type times struct{ came, said []time.Duration }

func (*times) Opened(pipeline.StreamInfo) {}
func (o *times) PutFrame(_ context.Context, f pipeline.Frame) {
	o.came, o.said = append(o.came, time.Duration(time.Now().UnixNano())), append(o.said, f.Info().PTS)
	f.Release()
}

// However long opening takes, as much time lies between frames as went by.
func TestTimeGoesOnOverALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := &pipeline.Error{Op: "read", Kind: pipeline.Gone, Err: errors.New("reset")}
		stream := func(delay time.Duration) pipeline.Source {
			return slow{&pipelinetest.Source{N: 10, Every: 100 * time.Millisecond, Err: gone}, delay}
		}
		again := []pipeline.Source{stream(8 * time.Second), stream(0)}
		src := &pipeline.Persistent{
			First: stream(6 * time.Second), Wait: pipeline.Backoff{Min: time.Second, Max: time.Second}, Log: quiet,
			Again:  func() (pipeline.Source, error) { next := again[0]; again = again[1:]; return next, nil },
			Enough: func(pipeline.StreamInfo, time.Duration, error) bool { return len(again) == 0 },
		}
		o := &times{}
		if err := src.Run(t.Context(), o); !errors.Is(err, gone) || len(o.said) != 30 {
			t.Fatalf("%d frames, %v", len(o.said), err)
		}
		for i := range o.said {
			if came, said := o.came[i]-o.came[0], o.said[i]-o.said[0]; came != said {
				t.Errorf("frame %d came after %v and says %v", i+1, came, said)
			}
		}
	})
}

// A camera that ends its stream again and again is asked ever more rarely, and a
// loss that is final is a loss, whatever the last attempt said.
func TestACameraThatEndsAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := &pipeline.Error{Op: "read", Kind: pipeline.Gone, Err: errors.New("reset")}
		start, n := time.Now(), 0
		src := &pipeline.Persistent{
			First: &pipelinetest.Source{N: 5, Every: 100 * time.Millisecond, Err: gone}, Wait: pipeline.Backoff{Min: time.Second, Max: 16 * time.Second}, Log: quiet,
			Again: func() (pipeline.Source, error) {
				n++
				if time.Since(start) > 10*time.Minute {
					return &pipelinetest.Source{Err: &pipeline.Error{Op: "open", Kind: pipeline.NotFound, Err: errors.New("404")}}, nil
				}
				return &pipelinetest.Source{N: 5, Every: 100 * time.Millisecond, Err: gone}, nil
			},
			Enough: func(_ pipeline.StreamInfo, silent time.Duration, _ error) bool { return silent > time.Minute },
		}
		err := src.Run(t.Context(), nowhere{})
		if pipeline.KindOf(err) != pipeline.Gone || !strings.Contains(err.Error(), "404") {
			t.Errorf("Run: %v", err)
		}
		if n < 30 || n > 100 {
			t.Errorf("%d attempts in ten minutes", n)
		}
	})
}

// What a run wants its pictures shrunk to is told to each stream.
func TestAWishOutlivesALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		streams := []*pipelinetest.Source{
			{N: 3, Every: time.Second, Err: &pipeline.Error{Op: "read", Kind: pipeline.Gone, Err: errors.New("reset")}, Info: pipeline.StreamInfo{Live: true}},
			{N: 3, Every: time.Second, Err: &pipeline.Error{Op: "read", Kind: pipeline.BadConfig, Err: errors.New("enough")}},
		}
		src := &pipeline.Persistent{First: streams[0], Again: func() (pipeline.Source, error) { return streams[1], nil }, Wait: pipeline.Backoff{Min: time.Second, Max: time.Second}, Log: quiet}
		small := pipeline.Size{Width: 32, Height: 24}
		src.Want(small)
		if err := src.Run(t.Context(), nowhere{}); pipeline.KindOf(err) != pipeline.BadConfig {
			t.Errorf("Run: %v", err)
		}
		for i, s := range streams {
			if s.Wanted() != small {
				t.Errorf("stream %d: %v is wanted", i, s.Wanted())
			}
		}
	})
}

// nowhere takes frames and returns them.
type nowhere struct{}

func (nowhere) Opened(pipeline.StreamInfo)                   {}
func (nowhere) PutFrame(_ context.Context, f pipeline.Frame) { f.Release() }
