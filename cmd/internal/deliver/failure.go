package deliver

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"time"

	"perch/pipeline"
)

// A failure is an attempt that did not succeed, with what it means for the
// next one.
type failure struct {
	error
	final bool          // trying again would change nothing
	after time.Duration // not before; 0: as we like
}

func (f *failure) Unwrap() error { return f.error }

// final is a failure that no further attempt can mend.
func final(kind pipeline.Kind, err error) error {
	return &failure{error: &pipeline.Error{Op: "deliver", Kind: kind, Err: err}, final: true}
}

// passing is a failure that may be over the next time.
func passing(kind pipeline.Kind, err error, after time.Duration) error {
	return &failure{error: &pipeline.Error{Op: "deliver", Kind: kind, Err: err}, after: min(max(after, 0), maxAfter)}
}

// asFailure is what an error of an attempt means; one that says nothing of
// itself may be over the next time.
func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	return &failure{error: err}
}

// unreachable is what a failed connection means. The guard's refusal is for
// good; everything else may be over the next time.
func unreachable(ctx context.Context, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // which does not quote the URL: its query may hold a password
	}
	_, never := errors.AsType[forbidden](err)
	switch {
	case never:
		return &failure{error: err, final: true}
	case ctx.Err() != nil:
		return passing(pipeline.Timeout, errors.New("there was no answer in time"), 0)
	}
	return passing(pipeline.Gone, err, 0)
}

// backoff is the delay after so many failures in a row: doubled each time up
// to a limit, then spread over a quarter more, so that devices which lost the
// same server do not come back all at once.
func backoff(first, most time.Duration, failures int) time.Duration {
	d := first
	for i := 1; i < failures && d < most; i++ {
		d *= 2
	}
	d = min(d, most)
	return d + rand.N(d/4+1)
}
