package api

import (
	"context"
	"errors"
	"net/http"

	"perch/pipeline"
)

// A WorkflowError says why a client's workflow cannot be run, in the form that
// clients of Roboflow Inference know.
type WorkflowError struct {
	// Type is "WorkflowSyntaxError" (400), which is also what "" means, or
	// "WorkflowError" (500).
	Type      string
	Message   string
	Context   string
	InnerType string
	Inner     string
	Blocks    []BlockError
}

// A BlockError is what is wrong with one block. Empty fields are sent as null.
type BlockError struct {
	BlockID, BlockType, BlockDetails, PropertyName, PropertyDetails string
}

func (e *WorkflowError) Error() string { return e.Message }

// A ConfigurationError refuses a request whose parts do not fit together: an
// output that the workflow does not have, an address that is not allowed.
type ConfigurationError struct{ Message string }

func (e *ConfigurationError) Error() string { return e.Message }

// A SourceError says that the camera which the client named cannot be opened.
// Err must not contain credentials; the client reads it.
type SourceError struct{ Err error }

func (e *SourceError) Error() string { return e.Err.Error() }
func (e *SourceError) Unwrap() error { return e.Err }

// errNoKey refuses a client that says nothing of who it is. Clients know such an
// answer by its first sentence.
var errNoKey = errors.New("no API key came with the request")

const noKeyText = "Required Roboflow API key is missing. On this device it is the token that its owner got when claiming it: give it as api_key, or in the header Authorization: Bearer."

// sessionProblem is the JSON form of most errors: a message and, for some, what
// class of Roboflow Inference's it stands for.
type sessionProblem struct {
	Message   string `json:"message"`
	ErrorType string `json:"error_type,omitempty"`
}

// workflowProblem is the JSON form of a [WorkflowError].
type workflowProblem struct {
	sessionProblem
	Context      *string        `json:"context"`
	InnerType    *string        `json:"inner_error_type"`
	Inner        *string        `json:"inner_error_message"`
	Blocks       []blockProblem `json:"blocks_errors"`
	PythonOutput *string        `json:"python_blocks_output_streams"` // always null: there is no Python here
	PythonTraces *string        `json:"python_blocks_debug_traces"`
}

type blockProblem struct {
	BlockID         *string `json:"block_id"`
	BlockType       *string `json:"block_type"`
	BlockDetails    *string `json:"block_details"`
	PropertyName    *string `json:"property_name"`
	PropertyDetails *string `json:"property_details"`
	BlockTraceback  *string `json:"block_traceback"`
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (e *WorkflowError) answer() (int, workflowProblem) {
	status, body := http.StatusBadRequest, workflowProblem{sessionProblem: sessionProblem{e.Message, "WorkflowSyntaxError"}}
	if e.Type == "WorkflowError" {
		status, body.ErrorType = http.StatusInternalServerError, e.Type
	}
	body.Context, body.InnerType, body.Inner = orNull(e.Context), orNull(e.InnerType), orNull(e.Inner)
	body.Blocks = []blockProblem{}
	for _, b := range e.Blocks {
		body.Blocks = append(body.Blocks, blockProblem{
			BlockID: orNull(b.BlockID), BlockType: orNull(b.BlockType), BlockDetails: orNull(b.BlockDetails),
			PropertyName: orNull(b.PropertyName), PropertyDetails: orNull(b.PropertyDetails),
		})
	}
	return status, body
}

// failSession answers with an error in the form that the clients know. What is
// this device's own business stays in the log.
func (s *Server) failSession(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		s.log.Info("session not started, the client went away", "error", err)
		return
	}
	status, body := answerTo(err)
	if status >= 500 {
		s.log.Error("session not started", "status", status, "error", err)
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "5")
	}
	s.write(w, status, body)
}

// answerTo returns what a client is told of err.
func answerTo(err error) (status int, body any) {
	if e, ok := errors.AsType[*WorkflowError](err); ok {
		return e.answer()
	}
	if e, ok := errors.AsType[*ConfigurationError](err); ok {
		return http.StatusBadRequest, sessionProblem{e.Message, "WebRTCConfigurationError"}
	}
	if e, ok := errors.AsType[*SourceError](err); ok {
		return http.StatusBadGateway, sessionProblem{e.Error(), "SourceError"}
	}
	if errors.Is(err, errNoKey) {
		return http.StatusBadRequest, sessionProblem{Message: noKeyText}
	}
	kind := pipeline.KindOf(err)
	if errors.Is(err, context.DeadlineExceeded) {
		kind = pipeline.Timeout
	}
	switch kind {
	case pipeline.Busy:
		return http.StatusTooManyRequests, sessionProblem{err.Error(), "SessionLimitError"}
	case pipeline.Refused:
		return http.StatusUnauthorized, sessionProblem{Message: err.Error()}
	case pipeline.NotFound:
		return http.StatusNotFound, sessionProblem{Message: err.Error()}
	case pipeline.Timeout:
		return http.StatusGatewayTimeout, sessionProblem{Message: "The session could not be started in time."}
	}
	return http.StatusInternalServerError, sessionProblem{Message: "Internal error."}
}
