package api

import (
	"math"
	"time"
)

// Bounds of what a session may be asked with.
const (
	maxSessionBody   = 8 << 20   // a workflow may contain a picture
	smallSessionBody = 64 << 10  // the real clients send 5 to 30 KB; larger ones need a place
	maxSessionSDP    = 256 << 10 // the real clients send 2 to 8 KB
	maxListed        = 1000      // names of outputs, ICE servers
)

// parseSession reads the body of POST /initialise_webrtc_worker. The details
// are what is wrong with it, nil when nothing is.
func parseSession(body []byte, o SessionOptions) (SessionRequest, []detail) {
	l := &lax{body: body}
	req := SessionRequest{}
	v, ok := l.parseJSON()
	if !ok {
		return req, l.details
	}
	f, ok := l.object(v, []any{"body"})
	if !ok {
		return req, l.details
	}
	req.APIKey = f.text("api_key", "", true)
	req.Preview = f.truth("is_preview", false)
	req.Workflow = sessionWorkflow(f)
	req.Offer = sessionOffer(f)
	req.ICEServers = sessionICE(f)
	req.Realtime = f.truth("webrtc_realtime_processing", o.Realtime)
	req.StreamOutput, req.DataOutput = f.list("stream_output"), f.list("data_output")
	req.DeclaredFPS = f.number("declared_fps")
	req.RTSPURL, req.MJPEGURL = f.text("rtsp_url", "", true), f.text("mjpeg_url", "", true)
	req.TimeLimit = sessionLimit(f, o.TimeLimit)
	req.Started = f.moment("processing_session_started")
	for _, hosted := range []string{"requested_plan", "requested_gpu", "requested_region", "workspace_id", "session_id"} {
		f.text(hosted, "", true)
	}
	return req, l.details
}

// sessionLimit reads processing_timeout: seconds, or null for no limit.
func sessionLimit(f fields, otherwise time.Duration) *time.Duration {
	if _, said := f.values["processing_timeout"]; !said {
		return &otherwise
	}
	n := f.integer("processing_timeout")
	if n == nil {
		return nil
	}
	const most = math.MaxInt64 / int64(time.Second)
	d := time.Duration(min(max(*n, -most), most)) * time.Second
	return &d
}

func sessionWorkflow(f fields) SessionWorkflow {
	v, ok := f.need("workflow_configuration")
	if !ok {
		return SessionWorkflow{}
	}
	w, ok := f.lax.object(v, f.at("workflow_configuration"))
	if !ok {
		return SessionWorkflow{}
	}
	if kind, ok := w.need("type"); ok && kind != "WorkflowConfiguration" {
		w.lax.bad(w.at("type"), "literal_error", "Input should be 'WorkflowConfiguration'", kind)
	}
	// How many threads serve a workflow is this device's business.
	for _, count := range []string{"workflows_thread_pool_workers", "execution_engine_thread_pool_workers"} {
		if v, said := w.values[count]; said && v == nil {
			w.lax.bad(w.at(count), "int_type", "Input should be a valid integer", nil)
		}
		w.integer(count)
	}
	w.truth("cancel_thread_pool_tasks_on_exit", true)
	return SessionWorkflow{
		Specification: w.raw("workflow_specification"), Parameters: w.raw("workflows_parameters"),
		Workspace: w.text("workspace_name", "", true), ID: w.text("workflow_id", "", true), Version: w.text("workflow_version_id", "", true),
		ImageInput: w.text("image_input_name", "image", false), MetadataInput: w.text("video_metadata_input_name", "video_metadata", false),
		DisableSinks: w.truth("disable_sinks", false),
	}
}

func sessionOffer(f fields) SessionDescription {
	v, ok := f.need("webrtc_offer")
	if !ok {
		return SessionDescription{}
	}
	o, ok := f.lax.object(v, f.at("webrtc_offer"))
	if !ok {
		return SessionDescription{}
	}
	var d SessionDescription
	if v, ok := o.need("type"); ok {
		d.Type = o.lax.text(v, o.at("type"), math.MaxInt)
	}
	if v, ok := o.need("sdp"); ok {
		d.SDP = o.lax.text(v, o.at("sdp"), maxSessionSDP)
	}
	return d
}

// sessionICE reads webrtc_config and, which replaces it, the older
// webrtc_turn_config. Nil means that the client says nothing.
func sessionICE(f fields) []ICEServer {
	var servers []ICEServer
	if v, ok := f.get("webrtc_config", true); ok {
		servers = iceServers(f, v)
	}
	v, ok := f.get("webrtc_turn_config", true)
	if !ok {
		return servers
	}
	t, ok := f.lax.object(v, f.at("webrtc_turn_config"))
	if !ok {
		return nil
	}
	var turn ICEServer
	for name, into := range map[string]*string{"username": &turn.Username, "credential": &turn.Credential} {
		if v, ok := t.need(name); ok {
			*into = secretText(t, v, name)
		}
	}
	if v, ok := t.need("urls"); ok {
		turn.URLs = oneOrMore(t, v)
	}
	return []ICEServer{turn}
}

func iceServers(f fields, v any) []ICEServer {
	c, ok := f.lax.object(v, f.at("webrtc_config"))
	if !ok {
		return nil
	}
	v, ok = c.need("iceServers")
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok || len(list) > maxListed {
		c.lax.bad(c.at("iceServers"), "list_type", "Input should be a valid list", v)
		return nil
	}
	servers := make([]ICEServer, 0, len(list))
	for i, item := range list {
		s, ok := c.lax.object(item, append(c.at("iceServers"), i))
		if !ok {
			continue
		}
		server := ICEServer{}
		for name, into := range map[string]*string{"username": &server.Username, "credential": &server.Credential} {
			if v, ok := s.get(name, true); ok {
				*into = secretText(s, v, name)
			}
		}
		if v, ok := s.need("urls"); ok {
			server.URLs = oneOrMore(s, v)
		}
		servers = append(servers, server)
	}
	return servers
}

// secretText reads a string that is not to be shown, even if it is not one.
func secretText(f fields, v any, name string) string {
	s, ok := v.(string)
	if !ok {
		f.lax.bad(f.at(name), "string_type", "Input should be a valid string", "...")
	}
	return s
}

// oneOrMore reads a string or a list of them.
func oneOrMore(f fields, v any) []string {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	return f.lax.list(v, f.at("urls"))
}
