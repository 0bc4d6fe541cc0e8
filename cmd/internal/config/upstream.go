package config

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Some keys can also be set by the variable that Roboflow Inference reads,
// which their tag upstream names. Its values are written as there: seconds and
// bytes as numbers, truth as true or false in any case.

// ignoredUpstream are variables of Roboflow Inference's WebRTC worker that say
// nothing on a single device, and why.
func ignoredUpstream() map[string]string {
	const hosted = "it is for the hosted service"
	return map[string]string{
		"WEBRTC_MODAL_WATCHDOG_TIMEMOUT":            hosted + "; sessions.upload_idle, rtsp_timeout, connect_timeout and linger bound a session in which nothing happens",
		"WEBRTC_WORKSPACE_STREAM_QUOTA":             hosted + "; sessions.max_sessions is this device's limit",
		"WEBRTC_WORKSPACE_STREAM_QUOTA_ENABLED":     hosted + "; sessions.max_sessions is this device's limit",
		"WEBRTC_WORKSPACE_STREAM_QUOTA_TTL_SECONDS": hosted + "; a session here gives its place back when it ends",
		"WEBRTC_SESSION_HEARTBEAT_URL":              hosted + ", which counts sessions by it; nobody is called from here",
		"WEBRTC_SESSION_HEARTBEAT_INTERVAL_SECONDS": hosted + ", which counts sessions by it; nobody is called from here",
		"DEBUG_WEBRTC_PROCESSING_LATENCY":           "latencies of every run are in its record and in the metrics",
	}
}

// applyUpstream stores the variables of Roboflow Inference that are set, below
// Perch's own: a key that both set must be set alike.
func applyUpstream(r *report, cfg *Config, environ map[string]string) {
	for _, k := range schema() {
		name := k.tag.Get("upstream")
		text, set := environ[name]
		if name == "" || !set {
			continue
		}
		value, err := fromUpstream(k.typ, strings.TrimSpace(text))
		ours := reflect.New(k.typ).Elem()
		if err == nil {
			err = setAny(ours, value)
		}
		if err != nil {
			r.add(origin{variable: name}, k.pattern(), "%s", valueProblem(k.typ, text, err))
			continue
		}
		own := variable(k.path...)
		if said, both := environ[own]; both {
			theirs := reflect.New(k.typ).Elem()
			if setAny(theirs, said) == nil && !reflect.DeepEqual(ours.Interface(), theirs.Interface()) {
				r.add(origin{variable: name}, k.pattern(), "says something else than %s; unset one of them", own)
			}
			continue
		}
		assign(r, cfg, name, k.path, value)
	}
	ignored := ignoredUpstream()
	for _, name := range sortedNames(ignored) {
		if _, set := environ[name]; set {
			cfg.notes = append(cfg.notes, name+" has no effect: "+ignored[name])
		}
	}
}

// Notes are things that were said and have no effect, for the log.
func (c *Config) Notes() []string { return slices.Clone(c.notes) }

// fromUpstream writes a value of Roboflow Inference as the file would have it.
func fromUpstream(t reflect.Type, text string) (string, error) {
	switch {
	case t.Kind() == reflect.Bool:
		return strings.ToLower(text), nil
	case t == reflect.TypeFor[Duration]():
		s, err := strconv.ParseFloat(text, 64)
		if err != nil || !(math.Abs(s) < math.MaxInt64/1e9) { // not a number either
			return "", errors.New("is not a number of seconds")
		}
		return Duration(s * float64(time.Second)).String(), nil
	case t.Kind() == reflect.Int && strings.HasPrefix(text, "-"):
		if _, err := strconv.Atoi(text); err == nil {
			return "0", nil // a window below 0 is 0 there
		}
	}
	return text, nil
}
