package infer

/*
#include <signal.h>

enum { nsig = 65 };

typedef struct { struct sigaction act[nsig]; } handlers;

static void save_handlers(handlers *h) {
	for (int s = 1; s < nsig; s++)
		sigaction(s, NULL, &h->act[s]);
}

// Puts back what was replaced by a handler that does not ask for the alternate
// stack. Go's own handlers always ask for it, so one that Go installed in the
// meantime (signal.Notify in another goroutine) stays.
static int restore_handlers(handlers *h) {
	int n = 0;
	for (int s = 1; s < nsig; s++) {
		struct sigaction now;
		if (s == SIGKILL || s == SIGSTOP || sigaction(s, NULL, &now) != 0)
			continue;
		if ((now.sa_flags & SA_ONSTACK) || now.sa_sigaction == h->act[s].sa_sigaction)
			continue;
		if (sigaction(s, &h->act[s], NULL) == 0)
			n++;
	}
	return n;
}
*/
import "C"

// keepSignals runs f and puts back the signal handlers that f replaced; it
// returns how many those were. NVIDIA's libraries install handlers without
// SA_ONSTACK, after which the Go runtime aborts on the next SIGTERM instead of
// shutting down (yalue/onnxruntime_go issue 140). Calls must not overlap.
func keepSignals(f func() error) (restored int, err error) {
	h := new(C.handlers)
	C.save_handlers(h)
	defer func() { restored = int(C.restore_handlers(h)) }()
	return 0, f()
}
