package main

import (
	"context"
	"errors"

	"perch/pipeline"
)

// The exit statuses are those of sysexits.h(3) where it has one.
const (
	exitOK          = 0
	exitOther       = 1
	exitUsage       = 64  // the command line is wrong
	exitBadInput    = 65  // the file is not a video, the model is damaged
	exitNotFound    = 66  // no such file, model, run
	exitUnsupported = 69  // a decoder, plugin or execution provider is missing
	exitStorage     = 74  // results cannot be kept: disk full, read-only, damaged
	exitRetry       = 75  // a camera or broker is away, another process builds an engine, or C code hung: try again
	exitRefused     = 77  // wrong password, not allowed
	exitConfig      = 78  // the configuration is wrong
	exitInterrupted = 130 // stopped by a signal before it was done
)

// errSilent ends a command whose output has said everything already.
var errSilent = errors.New("failed")

// usageError is a mistake on the command line.
type usageError struct{ error }

// statusError carries an exit status of its own.
type statusError struct {
	error
	status int
}

func (e statusError) Unwrap() error { return e.error }

func exitStatus(err error) int {
	if err == nil {
		return exitOK
	}
	if s, ok := errors.AsType[statusError](err); ok {
		return s.status
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	switch pipeline.KindOf(err) {
	case pipeline.BadConfig:
		return exitConfig
	case pipeline.BadInput:
		return exitBadInput
	case pipeline.NotFound:
		return exitNotFound
	case pipeline.Unsupported:
		return exitUnsupported
	case pipeline.Refused:
		return exitRefused
	case pipeline.Storage:
		return exitStorage
	case pipeline.Gone, pipeline.Timeout, pipeline.Stuck, pipeline.Busy:
		return exitRetry
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	return exitOther
}
