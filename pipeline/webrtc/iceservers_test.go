package webrtc

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pion "github.com/pion/webrtc/v4"

	"perch/pipeline"
)

// A name that the resolver hangs on costs its own server only, and the answer no
// more than the time limit.
func TestNamesThatHangCostNoOtherServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := SessionOptions{STUN: []string{"stun:ours"}, AllowServer: func(ctx context.Context, url string) ([]string, error) {
			took := time.Second
			switch {
			case strings.Contains(url, "hangs"):
				took = time.Hour
			case strings.Contains(url, "slow"):
				took = 1500 * time.Millisecond // and yet it keeps its place
			}
			select {
			case <-time.After(took):
				return []string{url + "/4", url + "/6"}, nil
			case <-ctx.Done():
				return nil, &pipeline.Error{Op: "open", On: url, Kind: pipeline.Gone, Err: errors.New("the host's name cannot be resolved")}
			}
		}}.withDefaults()
		began := time.Now()
		got, missed, err := iceServers(t.Context(), []ICEServer{
			{URLs: []string{"turn:hangs1", "turn:slow", "turn:hangs2", "turn:a"}, Username: "u", Credential: "c"},
			{URLs: []string{"stun:hangs3"}},
			{URLs: []string{"stun:b"}},
		}, o)
		want := []pion.ICEServer{
			{URLs: []string{"turn:slow/4", "turn:slow/6", "turn:a/4", "turn:a/6"}, Username: "u", Credential: "c"},
			{URLs: []string{"stun:b/4", "stun:b/6"}, Credential: ""}, // given, if empty
			{URLs: []string{"stun:ours"}},
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
		for _, name := range []string{"turn:hangs1", "turn:hangs2", "stun:hangs3"} {
			if missed == nil || !strings.Contains(missed.Error(), name) {
				t.Errorf("%s is not among what was left out: %v", name, missed)
			}
		}
		if took := time.Since(began); took != o.GatherTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

// Nobody is asked about a list that will be refused.
func TestBadListOfServersIsNotLookedUp(t *testing.T) {
	o := SessionOptions{AllowServer: func(_ context.Context, url string) ([]string, error) {
		t.Errorf("asked about %s", url)
		return nil, nil
	}}.withDefaults()
	_, _, err := iceServers(t.Context(), []ICEServer{{URLs: []string{"stun:a"}}, {URLs: []string{"http://b"}}}, o)
	if pipeline.KindOf(err) != pipeline.BadInput {
		t.Error(err)
	}
}
