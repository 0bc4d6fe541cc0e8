package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"perch/cmd/internal/api"
	"perch/cmd/internal/claim"
	"perch/pipeline"
)

// starter plays cmd's part: it notes the request and gives a fixed answer.
type starter struct {
	got api.SessionRequest
	err error
	ctx func(ctx context.Context)
}

func (s *starter) Start(ctx context.Context, req api.SessionRequest) (string, error) {
	s.got = req
	if s.ctx != nil {
		s.ctx(ctx)
	}
	return "v=0\r\n", s.err
}

// sessionServer is a server with sessions, and what it logs.
func sessionServer(t *testing.T, s api.Sessions, change func(*api.Options)) (*api.Server, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	o := newAppliance(t).options()
	o.Sessions, o.Log = s, slog.New(slog.NewTextHandler(log, nil))
	o.SessionOptions = api.SessionOptions{AllowedOrigins: []string{"*"}, APIKeyFromHeader: true, Realtime: true, TimeLimit: time.Hour}
	if change != nil {
		change(&o)
	}
	srv, err := api.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return srv, log
}

// send posts a body to the session address.
func send(h http.Handler, body string, header ...string) *httptest.ResponseRecorder {
	return sendTo(h, http.MethodPost, "/initialise_webrtc_worker", body, header...)
}

func sendTo(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const (
	offer    = `"webrtc_offer": {"type": "offer", "sdp": "v=0"}`
	workflow = `"workflow_configuration": {"type": "WorkflowConfiguration", "workflow_specification": {"version": "1.0"}}`
)

func TestSessionIsStarted(t *testing.T) {
	s := &starter{}
	srv, _ := sessionServer(t, s, nil)
	w := send(srv, "{"+offer+","+workflow+`, "video_file_upload": true, "manual_mode": 1}`)
	want := `{"status":"success","context":{"request_id":null,"pipeline_id":null},"sdp":"v=0\r\n","type":"answer"}`
	if w.Code != http.StatusOK || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	hour := time.Hour
	wanted := api.SessionRequest{
		Workflow: api.SessionWorkflow{Specification: json.RawMessage(`{"version": "1.0"}`), ImageInput: "image", MetadataInput: "video_metadata"},
		Offer:    api.SessionDescription{Type: "offer", SDP: "v=0"}, Realtime: true, TimeLimit: &hour,
	}
	if !reflect.DeepEqual(s.got, wanted) {
		t.Errorf("got  %+v\nwant %+v", s.got, wanted)
	}
}

// Every field, in the form in which clients may send it.
func TestSessionFields(t *testing.T) {
	ten, never, fps := 10*time.Second, -3*time.Second, 29.97
	tests := []struct {
		name, body string
		check      func(r api.SessionRequest) any
		want       any
	}{
		{"key in the body", `"api_key": "k"`, func(r api.SessionRequest) any { return r.APIKey }, "k"},
		{"no key", `"api_key": null`, func(r api.SessionRequest) any { return r.APIKey }, ""},
		{"a truth as text", `"webrtc_realtime_processing": "Off"`, func(r api.SessionRequest) any { return r.Realtime }, false},
		{"a truth as number", `"webrtc_realtime_processing": 0.0`, func(r api.SessionRequest) any { return r.Realtime }, false},
		{"preview", `"is_preview": "y"`, func(r api.SessionRequest) any { return r.Preview }, true},
		{"outputs absent", ``, func(r api.SessionRequest) any { return r.StreamOutput == nil && r.DataOutput == nil }, true},
		{"outputs null", `"stream_output": null, "data_output": null`, func(r api.SessionRequest) any { return r.StreamOutput == nil && r.DataOutput == nil }, true},
		{"outputs empty", `"stream_output": [], "data_output": []`, func(r api.SessionRequest) any { return r.StreamOutput != nil && r.DataOutput != nil }, true},
		{"outputs named", `"stream_output": ["a", ""], "data_output": ["*"]`, func(r api.SessionRequest) any { return [][]string{r.StreamOutput, r.DataOutput} }, [][]string{{"a", ""}, {"*"}}},
		{"fps", `"declared_fps": 29.97`, func(r api.SessionRequest) any { return r.DeclaredFPS }, &fps},
		{"fps as text", `"declared_fps": " 29.97 "`, func(r api.SessionRequest) any { return r.DeclaredFPS }, &fps},
		{"fps null", `"declared_fps": null`, func(r api.SessionRequest) any { return r.DeclaredFPS }, (*float64)(nil)},
		{"limit", `"processing_timeout": 10`, func(r api.SessionRequest) any { return r.TimeLimit }, &ten},
		{"limit as text", `"processing_timeout": "10"`, func(r api.SessionRequest) any { return r.TimeLimit }, &ten},
		{"limit as whole float", `"processing_timeout": 10.0`, func(r api.SessionRequest) any { return r.TimeLimit }, &ten},
		{"no limit", `"processing_timeout": null`, func(r api.SessionRequest) any { return r.TimeLimit }, (*time.Duration)(nil)},
		{"limit in the past", `"processing_timeout": -3`, func(r api.SessionRequest) any { return r.TimeLimit }, &never},
		{"limit beyond all", `"processing_timeout": 9007199254740992`, func(r api.SessionRequest) any { return *r.TimeLimit > 200*365*24*time.Hour }, true},
		{"began", `"processing_session_started": "2026-05-04T09:30:00.5Z"`, func(r api.SessionRequest) any { return r.Started.Equal(start.Add(time.Second / 2)) }, true},
		{"began, local time", `"processing_session_started": "2026-05-04 09:30:00"`, func(r api.SessionRequest) any {
			return r.Started.Equal(time.Date(2026, 5, 4, 9, 30, 0, 0, time.Local))
		}, true},
		{"began, seconds", fmt.Sprintf(`"processing_session_started": %d`, start.Unix()), func(r api.SessionRequest) any { return r.Started.Equal(start) }, true},
		{"began, milliseconds", fmt.Sprintf(`"processing_session_started": %d`, start.UnixMilli()), func(r api.SessionRequest) any { return r.Started.Equal(start) }, true},
		{"urls", `"rtsp_url": "rtsp://h/1", "mjpeg_url": null`, func(r api.SessionRequest) any { return r.RTSPURL + r.MJPEGURL }, "rtsp://h/1"},
		{"ICE null", `"webrtc_config": null`, func(r api.SessionRequest) any { return r.ICEServers == nil }, true},
		{"ICE empty", `"webrtc_config": {"iceServers": []}`, func(r api.SessionRequest) any { return r.ICEServers != nil && len(r.ICEServers) == 0 }, true},
		{"ICE", `"webrtc_config": {"iceServers": [{"urls": "stun:a"}, {"urls": ["turn:b", "turn:c"], "username": "u", "credential": "c"}]}`,
			func(r api.SessionRequest) any { return r.ICEServers },
			[]api.ICEServer{{URLs: []string{"stun:a"}}, {URLs: []string{"turn:b", "turn:c"}, Username: "u", Credential: "c"}}},
		{"the old form replaces the new", `"webrtc_config": {"iceServers": []}, "webrtc_turn_config": {"urls": "turn:b", "username": "u", "credential": "c"}`,
			func(r api.SessionRequest) any { return r.ICEServers }, []api.ICEServer{{URLs: []string{"turn:b"}, Username: "u", Credential: "c"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &starter{}
			srv, _ := sessionServer(t, s, nil)
			body := "{" + offer + "," + workflow
			if tt.body != "" {
				body += "," + tt.body
			}
			if w := send(srv, body+"}"); w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if got := tt.check(s.got); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%#v, want %#v", got, tt.want)
			}
		})
	}
}

func TestSessionWorkflowFields(t *testing.T) {
	s := &starter{}
	srv, _ := sessionServer(t, s, nil)
	w := send(srv, "{"+offer+`, "workflow_configuration": {"type": "WorkflowConfiguration", "workspace_name": "w", "workflow_id": "i", "workflow_version_id": "v",
		"image_input_name": "picture", "video_metadata_input_name": "meta", "workflows_parameters": {"n": 12345678901234567890, "s": "<&>"}, "disable_sinks": true,
		"workflows_thread_pool_workers": "4", "execution_engine_thread_pool_workers": 2, "cancel_thread_pool_tasks_on_exit": "true"}}`)
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	want := api.SessionWorkflow{Workspace: "w", ID: "i", Version: "v", ImageInput: "picture", MetadataInput: "meta", DisableSinks: true, Parameters: s.got.Workflow.Parameters}
	if !reflect.DeepEqual(s.got.Workflow, want) {
		t.Errorf("%+v", s.got.Workflow)
	}
	if p := string(s.got.Workflow.Parameters); p != `{"n": 12345678901234567890, "s": "<&>"}` {
		t.Errorf("parameters %s", p)
	}
}

// Workflows and parameters keep the order of their keys, in which columns of a
// CSV file stand, for example; of two equal keys the last one counts.
func TestSessionWorkflowIsPassedOnAsWritten(t *testing.T) {
	s := &starter{}
	srv, _ := sessionServer(t, s, nil)
	const spec, params = `{"version" : "1.0", "steps": [{"zone":1,"count":"<é>","area":{"z":0,"a":1e2}}]}`, `{"z": 1, "a": 2}`
	w := send(srv, "{"+offer+`, "workflow_configuration": {"workflow_specification": {}}, "Workflow_configuration": {"workflows_parameters": {"no": 1}},
		"workflow_configuration": {"type": "WorkflowConfiguration", "workflow_specification": {}, "workflow_specification": `+spec+`, "WORKFLOW_SPECIFICATION": {}, "workflows_parameters": `+params+`}}`)
	if got := s.got.Workflow; w.Code != http.StatusOK || string(got.Specification) != spec || string(got.Parameters) != params {
		t.Errorf("%d %s\n%s\n%s", w.Code, w.Body, got.Specification, got.Parameters)
	}
}

// What cannot be taken is said where it stands, and nothing that may be secret
// is repeated.
func TestSessionMistakes(t *testing.T) {
	type d struct{ Type, Loc, Msg string }
	tests := []struct {
		body string
		want []d
	}{
		{"", []d{{"missing", `["body"]`, "Field required"}}},
		{"[1]", []d{{"model_attributes_type", `["body"]`, "Input should be a valid dictionary or object to extract fields from"}}},
		{`{"a": }`, []d{{"json_invalid", `["body",6]`, "JSON decode error"}}},
		{"{}{}", []d{{"json_invalid", `["body",3]`, "JSON decode error"}}},
		{"{}", []d{
			{"missing", `["body","workflow_configuration"]`, "Field required"},
			{"missing", `["body","webrtc_offer"]`, "Field required"},
		}},
		{`{"webrtc_offer": {"sdp": 5}, "workflow_configuration": {"type": "Other"}}`, []d{
			{"literal_error", `["body","workflow_configuration","type"]`, "Input should be 'WorkflowConfiguration'"},
			{"missing", `["body","webrtc_offer","type"]`, "Field required"},
			{"string_type", `["body","webrtc_offer","sdp"]`, "Input should be a valid string"},
		}},
		{"{" + offer + "," + workflow + `, "webrtc_realtime_processing": null, "stream_output": "a", "data_output": ["a", 1], "declared_fps": "fast", "processing_timeout": 1.5}`, []d{
			{"bool_type", `["body","webrtc_realtime_processing"]`, "Input should be a valid boolean"},
			{"list_type", `["body","stream_output"]`, "Input should be a valid list"},
			{"string_type", `["body","data_output",1]`, "Input should be a valid string"},
			{"float_parsing", `["body","declared_fps"]`, "Input should be a valid number, unable to parse string as a number"},
			{"int_from_float", `["body","processing_timeout"]`, "Input should be a valid integer, got a number with a fractional part"},
		}},
		{"{" + offer + "," + workflow + `, "is_preview": "perhaps", "declared_fps": 1e999, "processing_timeout": "soon", "processing_session_started": "noon", "requested_plan": 5}`, []d{
			{"bool_parsing", `["body","is_preview"]`, "Input should be a valid boolean, unable to interpret input"},
			{"finite_number", `["body","declared_fps"]`, "Input should be a finite number"},
			{"int_parsing", `["body","processing_timeout"]`, "Input should be a valid integer, unable to parse string as an integer"},
			{"datetime_from_date_parsing", `["body","processing_session_started"]`, "Input should be a valid datetime or date"},
			{"string_type", `["body","requested_plan"]`, "Input should be a valid string"},
		}},
		{"{" + offer + "," + workflow + `, "webrtc_config": {"iceServers": [{"username": "secret"}, 5]}, "webrtc_turn_config": {"urls": "turn:b", "credential": {"secret": 1}}}`, []d{
			{"missing", `["body","webrtc_config","iceServers",0,"urls"]`, "Field required"},
			{"model_attributes_type", `["body","webrtc_config","iceServers",1]`, "Input should be a valid dictionary or object to extract fields from"},
			{"missing", `["body","webrtc_turn_config","username"]`, "Field required"},
			{"string_type", `["body","webrtc_turn_config","credential"]`, "Input should be a valid string"},
		}},
		{"{" + offer + `, "workflow_configuration": {"type": "WorkflowConfiguration", "workflow_specification": "rtsp://u:secret@h", "image_input_name": null, "workflows_thread_pool_workers": null}}`, []d{
			{"int_type", `["body","workflow_configuration","workflows_thread_pool_workers"]`, "Input should be a valid integer"},
			{"dict_type", `["body","workflow_configuration","workflow_specification"]`, "Input should be a valid dictionary"},
			{"string_type", `["body","workflow_configuration","image_input_name"]`, "Input should be a valid string"},
		}},
		{"{" + `"webrtc_offer": {"type": "offer", "sdp": "` + strings.Repeat("a", 300<<10) + `"},` + workflow + "}", []d{
			{"string_too_long", `["body","webrtc_offer","sdp"]`, "String should have at most 262144 characters"},
		}},
	}
	for _, tt := range tests {
		s := &starter{}
		srv, _ := sessionServer(t, s, nil)
		w := send(srv, tt.body)
		var reply struct {
			Detail []struct {
				Type, Msg  string
				Loc, Input json.RawMessage
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil || w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%.200s: %d %s", tt.body, w.Code, w.Body)
			continue
		}
		var got []d
		for _, r := range reply.Detail {
			got = append(got, d{r.Type, string(r.Loc), r.Msg})
		}
		// A Go map is read in any order, so both fields of a TURN server may come first.
		if !sameSet(got, tt.want) {
			t.Errorf("%.200s:\ngot  %v\nwant %v", tt.body, got, tt.want)
		}
		if strings.Contains(w.Body.String(), "secret") || w.Body.Len() > 4096 {
			t.Errorf("%.200s: the reply repeats too much: %.500s", tt.body, w.Body)
		}
		if s.got.Offer.Type != "" {
			t.Errorf("%.200s: a session was started", tt.body)
		}
	}
}

func sameSet[T comparable](a, b []T) bool {
	count := map[T]int{}
	for _, x := range a {
		count[x]++
	}
	for _, x := range b {
		count[x]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestSessionErrors(t *testing.T) {
	inner := errors.New("open /var/lib/perch: permission denied")
	tests := []struct {
		name   string
		err    error
		status int
		body   string
		logged string
	}{
		{"outputs", fmt.Errorf("start: %w", &api.ConfigurationError{Message: "Invalid data_output fields: ['x']. Available workflow outputs: ['a', 'b']"}), 400,
			`{"message":"Invalid data_output fields: ['x']. Available workflow outputs: ['a', 'b']","error_type":"WebRTCConfigurationError"}`, ""},
		{"workflow", &api.WorkflowError{Message: "m", Context: "c", InnerType: "t", Inner: "i", Blocks: []api.BlockError{{BlockID: "b", BlockType: "roboflow_core/x@v1", PropertyName: "p"}}}, 400,
			`{"message":"m","error_type":"WorkflowSyntaxError","context":"c","inner_error_type":"t","inner_error_message":"i","blocks_errors":[{"block_id":"b","block_type":"roboflow_core/x@v1","block_details":null,"property_name":"p","property_details":null,"block_traceback":null}],"python_blocks_output_streams":null,"python_blocks_debug_traces":null}`, ""},
		{"workflow, otherwise", &api.WorkflowError{Type: "WorkflowError", Message: "m"}, 500,
			`{"message":"m","error_type":"WorkflowError","context":null,"inner_error_type":null,"inner_error_message":null,"blocks_errors":[],"python_blocks_output_streams":null,"python_blocks_debug_traces":null}`, "error=m"},
		{"source", &api.SourceError{Err: &pipeline.Error{Op: "open camera", On: "rtsp://10.0.0.9/1", Kind: pipeline.Gone, Err: errors.New("no route")}}, 502,
			`{"message":"open camera rtsp://10.0.0.9/1: no route","error_type":"SourceError"}`, "no route"},
		{"source that refuses", &api.SourceError{Err: &pipeline.Error{Op: "open camera", On: "c", Kind: pipeline.Refused, Err: errors.New("wrong password")}}, 502,
			`{"message":"open camera c: wrong password","error_type":"SourceError"}`, "wrong password"},
		{"busy", &pipeline.Error{Op: "start session", Kind: pipeline.Busy, Err: errors.New("8 are running")}, 429,
			`{"message":"start session: 8 are running","error_type":"SessionLimitError"}`, ""},
		{"key", &pipeline.Error{Op: "check API key", Kind: pipeline.Refused, Err: errors.New("it is wrong")}, 401, `{"message":"check API key: it is wrong"}`, ""},
		{"no such workflow", &pipeline.Error{Op: "find workflow", On: "x", Kind: pipeline.NotFound, Err: errors.New("there is none")}, 404, `{"message":"find workflow x: there is none"}`, ""},
		{"too late", context.DeadlineExceeded, 504, `{"message":"The session could not be started in time."}`, "deadline"},
		{"our own business", inner, 500, `{"message":"Internal error."}`, "permission denied"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv, log := sessionServer(t, &starter{err: tt.err}, nil)
			w := send(srv, "{"+offer+","+workflow+"}")
			if w.Code != tt.status || w.Body.String() != tt.body {
				t.Errorf("%d %s\nwant %d %s", w.Code, w.Body, tt.status, tt.body)
			}
			if (tt.logged == "") != (log.Len() == 0) || !strings.Contains(log.String(), tt.logged) {
				t.Errorf("logged %q, want %q", log, tt.logged)
			}
		})
	}
}

// What the request itself rules out never reaches the device's part.
func TestSessionRefusals(t *testing.T) {
	tests := []struct {
		name, body string
		status     int
		says       string
	}{
		{"no workflow", "{" + offer + `, "workflow_configuration": {"type": "WorkflowConfiguration", "workspace_name": "w"}}`, 400, "WebRTCConfigurationError"},
		{"an answer", `{"webrtc_offer": {"type": "answer", "sdp": "v=0"},` + workflow + "}", 400, "must have the type 'offer'"},
		{"too large", `{"a": "` + strings.Repeat("a", 9<<20) + `"}`, 413, "too large"},
		{"too deep", strings.Repeat("[", 1<<20), 422, "json_invalid"},
	}
	for _, tt := range tests {
		s := &starter{}
		srv, _ := sessionServer(t, s, nil)
		w := send(srv, tt.body)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) || s.got.Offer.SDP != "" {
			t.Errorf("%s: %d %.300s", tt.name, w.Code, w.Body)
		}
	}
}

func TestSessionKeyInHeader(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		s := &starter{}
		srv, _ := sessionServer(t, s, func(o *api.Options) { o.SessionOptions.APIKeyFromHeader = allowed })
		send(srv, "{"+offer+","+workflow+`, "api_key": "body"}`, "Authorization", "Bearer header")
		if want := map[bool]string{true: "header", false: "body"}[allowed]; s.got.APIKey != want {
			t.Errorf("allowed %v: key %q, want %q", allowed, s.got.APIKey, want)
		}
	}
}

// Where the device wants an owner, a session needs the owner's token as its key.
// A missing key is answered as in Roboflow Inference, a wrong one is a refusal.
func TestSessionNeedsTheOwnersKey(t *testing.T) {
	c, err := claim.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &starter{}
	srv, _ := sessionServer(t, s, func(o *api.Options) { o.Claim = c })
	body := "{" + offer + "," + workflow
	const missing, refused = `{"message":"Required Roboflow API key is missing. `, `{"message":"start session: only the owner of this device may`
	check := func(status int, says, more string, header ...string) {
		t.Helper()
		if w := send(srv, body+more+"}", header...); w.Code != status || !strings.HasPrefix(w.Body.String(), says) {
			t.Errorf("%q %q: %d %s", more, header, w.Code, w.Body)
		}
	}
	check(400, missing, "") // nobody owns it yet
	check(401, refused, `, "api_key": "wrong"`)
	token, err := c.Take("gate")
	if err != nil {
		t.Fatal(err)
	}
	check(400, missing, "")
	check(400, missing, `, "api_key": ""`)
	check(400, missing, `, "api_key": null`, "Authorization", "Bearer ")
	check(401, refused, `, "api_key": "wrong"`)
	check(401, refused, "", "Authorization", "Bearer wrong")
	check(401, refused, "", "Cookie", "perch_token=wrong")
	if s.got.Offer.Type != "" {
		t.Error("a session was started")
	}
	check(200, "", `, "api_key": "`+token+`"`)
	check(200, "", "", "Authorization", "Bearer "+token)
	check(200, "", "", "Cookie", "perch_token="+token)
}

func TestSessionStartIsLimited(t *testing.T) {
	s := &starter{ctx: func(ctx context.Context) { <-ctx.Done() }, err: fmt.Errorf("open: %w", context.DeadlineExceeded)}
	srv, _ := sessionServer(t, s, func(o *api.Options) { o.SessionOptions.StartTimeout = 10 * time.Millisecond })
	if w := send(srv, "{"+offer+","+workflow+"}"); w.Code != http.StatusGatewayTimeout {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestSessionsCanBeSwitchedOff(t *testing.T) {
	srv, _ := sessionServer(t, nil, nil)
	for _, path := range []string{"/initialise_webrtc_worker", "/webrtc/session/heartbeat", "/webrtc/session/heartbeat/end"} {
		if w := sendTo(srv, http.MethodPost, path, "{}"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "sessions.enabled") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestHeartbeats(t *testing.T) {
	srv, _ := sessionServer(t, &starter{}, nil)
	for _, path := range []string{"/webrtc/session/heartbeat", "/webrtc/session/heartbeat/end"} {
		if w := sendTo(srv, http.MethodPost, path, `{"session_id": "s", "api_key": "k"}`); w.Code != http.StatusOK || w.Body.String() != `{"status":"ok"}` {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		if w := sendTo(srv, http.MethodPost, path, `{"api_key": 5}`); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), `["body","session_id"]`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// Pages of other sites may start sessions where that is allowed, and may do
// nothing else.
func TestSessionsAcrossSites(t *testing.T) {
	const page, body = "https://app.example.org", "{" + offer + "," + workflow + "}"
	for _, tt := range []struct {
		origins []string
		origin  string
		ok      bool
	}{
		{[]string{"*"}, page, true},
		{[]string{page}, page, true},
		{[]string{page}, "https://evil.example.org", false},
		{nil, page, false},
		{nil, "http://example.com", true}, // httptest's own host: the same origin
		{nil, "null", false},
		{[]string{"*"}, "null", true},
	} {
		s := &starter{}
		srv, _ := sessionServer(t, s, func(o *api.Options) { o.SessionOptions.AllowedOrigins = tt.origins })
		w := send(srv, body, "Origin", tt.origin, "Sec-Fetch-Site", "cross-site")
		if (w.Code == http.StatusOK) != tt.ok || (s.got.Offer.SDP != "") != tt.ok {
			t.Errorf("%q for %q: %d %s", tt.origin, tt.origins, w.Code, w.Body)
		}
		other := sendTo(srv, http.MethodDelete, "/api/v1/runs/01J9ZC0000000000000000000B", "", "Origin", page, "Sec-Fetch-Site", "cross-site")
		if other.Code != http.StatusForbidden || other.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("ending a run from %s: %d", page, other.Code)
		}
		pre := sendTo(srv, http.MethodOptions, "/initialise_webrtc_worker", "", "Origin", page, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,authorization", "Access-Control-Request-Private-Network", "true")
		if tt.origins == nil {
			if pre.Code != http.StatusForbidden {
				t.Errorf("preflight that is not allowed: %d", pre.Code)
			}
			continue
		}
		h := pre.Header()
		if pre.Code != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != page || h.Get("Access-Control-Allow-Credentials") != "true" ||
			h.Get("Access-Control-Allow-Headers") != "content-type,authorization" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") || h.Get("Access-Control-Allow-Private-Network") != "true" {
			t.Errorf("preflight: %d %v", pre.Code, h)
		}
	}
}

// Clients that send large bodies slowly keep out nobody but others with large
// bodies, who are told so.
func TestSlowBodiesKeepNobodyWaiting(t *testing.T) {
	var o api.Options
	srv, _ := sessionServer(t, &starter{}, func(to *api.Options) { o = *to })
	synctest.Test(t, func(t *testing.T) {
		srv, err := api.New(o)
		if err != nil {
			t.Fatal(err)
		}
		small, large := "{"+offer+","+workflow+"}", "{"+offer+","+workflow+`, "x": "`+strings.Repeat("x", 100_000)+`"}`
		var slow sync.WaitGroup
		defer slow.Wait()
		for range 8 {
			body, write := io.Pipe()
			defer write.Close()
			slow.Go(func() {
				srv.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/initialise_webrtc_worker", body))
			})
			if _, err := io.WriteString(write, large[:70_000]); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if w := send(srv, small); w.Code != http.StatusOK {
			t.Errorf("a small body: %d %s", w.Code, w.Body)
		}
		w := send(srv, large)
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "SessionLimitError") {
			t.Errorf("a large body: %d %s", w.Code, w.Body)
		}
	})
	for range 20 { // places are given back
		if w := send(srv, "{"+offer+","+workflow+`, "x": "`+strings.Repeat("x", 100_000)+`"}`); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

// Over a real connection a start may take longer than other answers may.
func TestSessionOutlivesTheWriteLimit(t *testing.T) {
	s := &starter{}
	srv, _ := sessionServer(t, s, nil)
	slow := httptest.NewUnstartedServer(srv)
	slow.Config.WriteTimeout = time.Nanosecond
	slow.Start()
	defer slow.Close()
	res, err := http.Post(slow.URL+"/initialise_webrtc_worker", "application/json", strings.NewReader("{"+offer+","+workflow+"}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Error(res.Status)
	}
}
