package deliver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"perch/pipeline"
)

// A File goes along with a message.
type File struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"` // media type; "": plain bytes
	Data []byte `json:"data"`
	// ID, if set, makes a picture part of a mail's text, where it is
	// <img src="cid:ID">.
	ID string `json:"id,omitempty"`
}

// A Post is a message to a Slack channel.
type Post struct {
	Token   string        `json:"token"` // of a bot or user, or the URL of an incoming webhook
	Channel string        `json:"channel"`
	Text    string        `json:"text"`
	Files   []File        `json:"files,omitempty"` // not with an incoming webhook
	Timeout time.Duration `json:"timeout,omitempty"`
	Guarded bool          `json:"guarded,omitempty"` // only where the guard allows
}

// Incoming reports whether the post goes to an incoming webhook.
func (p *Post) Incoming() bool {
	return strings.HasPrefix(p.Token, "https://") || strings.HasPrefix(p.Token, "http://")
}

// Delivery is the post as something owed, to be kept for so long.
func (p *Post) Delivery(created time.Time, keep time.Duration) (pipeline.Delivery, error) {
	to := "Slack channel " + p.Channel
	if p.Incoming() {
		to = origin(p.Token)
	}
	return owed(Slack, to, p, created, keep)
}

// Check says why the post can never be sent.
func (p *Post) Check() error {
	switch {
	case p.Token == "" || strings.ContainsAny(p.Token, " \t\r\n"):
		return errors.New("the token is empty or has spaces")
	case p.Incoming() && len(p.Files) > 0:
		return errors.New("an incoming webhook of Slack takes no attachments; use the token of a bot")
	case !p.Incoming() && p.Channel == "":
		return errors.New("it has no channel")
	}
	return nil
}

func (w *Worker) sendPost(ctx context.Context, p *Post) error {
	if err := p.Check(); err != nil {
		return final(pipeline.BadInput, err)
	}
	if p.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.Timeout)
		defer cancel()
	}
	if p.Incoming() {
		return w.sendIncoming(ctx, p)
	}
	if len(p.Files) == 0 {
		return w.slack(ctx, p, "chat.postMessage", jsonBody(map[string]any{"channel": p.Channel, "text": p.Text}), nil)
	}
	type uploaded struct {
		ID    string `json:"id"`
		Title string `json:"title"`
	}
	var files []uploaded
	for _, f := range p.Files {
		var place struct {
			URL  string `json:"upload_url"`
			File string `json:"file_id"`
		}
		form := url.Values{"filename": {f.Name}, "length": {strconv.Itoa(len(f.Data))}}
		if err := w.slack(ctx, p, "files.getUploadURLExternal", formBody(form), &place); err != nil {
			return err
		}
		if err := w.upload(ctx, p, place.URL, f.Data); err != nil {
			return err
		}
		files = append(files, uploaded{place.File, f.Name})
	}
	return w.slack(ctx, p, "files.completeUploadExternal", jsonBody(map[string]any{"files": files, "channel_id": p.Channel, "initial_comment": p.Text}), nil)
}

func (w *Worker) sendIncoming(ctx context.Context, p *Post) error {
	b := jsonBody(map[string]any{"text": p.Text})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Token, bytes.NewReader(b.data))
	if err != nil {
		return final(pipeline.BadInput, errors.New("the URL of the incoming webhook cannot be read"))
	}
	req.Header.Set("Content-Type", b.kind)
	_, err = w.exchange(req, p.Guarded)
	return err
}

// body is a request's content.
type body struct {
	kind string
	data []byte
}

func jsonBody(v map[string]any) body {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode strings: %v", err)) // cannot happen: there is nothing else in it
	}
	return body{"application/json; charset=utf-8", b}
}

func formBody(v url.Values) body {
	return body{"application/x-www-form-urlencoded", []byte(v.Encode())}
}

// passingErrors are the errors of Slack's methods that may be over the next time.
var passingErrors = []string{"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}

// slack calls a method of Slack's API and reads its answer into out.
func (w *Worker) slack(ctx context.Context, p *Post, method string, b body, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.opt.SlackAPI+"/"+method, bytes.NewReader(b.data))
	if err != nil {
		return final(pipeline.BadConfig, err)
	}
	req.Header.Set("Content-Type", b.kind)
	req.Header.Set("Authorization", "Bearer "+p.Token)
	answer, err := w.exchange(req, p.Guarded)
	if err != nil {
		return err
	}
	var verdict struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(answer, &verdict); err != nil {
		return passing(pipeline.Gone, fmt.Errorf("%s: the answer is not JSON", method), 0)
	}
	switch {
	case verdict.OK && out != nil:
		return json.Unmarshal(answer, out)
	case verdict.OK:
		return nil
	case slices.Contains(passingErrors, verdict.Error):
		return passing(pipeline.Busy, fmt.Errorf("%s: Slack answers %q", method, verdict.Error), 0)
	}
	return final(pipeline.Refused, fmt.Errorf("%s: Slack answers %q", method, verdict.Error))
}

func (w *Worker) upload(ctx context.Context, p *Post, place string, data []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, place, bytes.NewReader(data))
	if err != nil {
		return passing(pipeline.Gone, errors.New("the answer of Slack names no place to upload to"), 0)
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	_, err = w.exchange(req, p.Guarded)
	return err
}
