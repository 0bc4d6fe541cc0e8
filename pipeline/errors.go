package pipeline

import "errors"

// Kind says what the reader of an error can do about it.
type Kind uint8

// The kinds of error, from "somebody must look" to "restart me".
const (
	Other       Kind = iota // unknown; log it and retry
	BadConfig               // the user must change the configuration; do not retry
	BadInput                // the file or stream is not what it should be; do not retry
	NotFound                // there is no such file, device, model or run
	Unsupported             // understood, but a decoder, plugin or provider is missing
	Refused                 // wrong password or not allowed; retry slowly
	Gone                    // the camera, broker or client went away; retry with back-off
	Storage                 // results cannot be kept: disk full, read-only, damaged
	Timeout                 // it took longer than it may; retry
	Stuck                   // C code did not return; exit and let systemd restart us
	Busy                    // all places are taken; retry later
)

var kindNames = [...]string{"other", "bad configuration", "bad input", "not found", "unsupported", "refused", "gone", "storage", "timeout", "stuck", "busy"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Error says what was tried, on what, what went wrong and what can be done.
// It never contains credentials.
type Error struct {
	Op   string // verb first, lower case: "open camera", "load model"
	On   string // what it was tried on; no credentials
	Kind Kind
	Err  error
	Hint string // what the reader can do, a whole sentence without a full stop; may be empty
}

func (e *Error) Error() string {
	s := e.Op
	if e.On != "" {
		s += " " + e.On
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost [Error] in err's chain that has one.
func KindOf(err error) Kind {
	for err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return Other
		}
		if e.Kind != Other {
			return e.Kind
		}
		err = e.Err
	}
	return Other
}
