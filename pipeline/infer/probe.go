package infer

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

// The first two members of OrtApiBase; they have been the same in every
// release, which is what makes it possible to ask an old library its version.
typedef struct {
	const void *(*GetApi)(unsigned int);
	const char *(*GetVersionString)(void);
} ort_api_base;

// Writes the version to out, or "" and the reason to why.
static void ort_version(const char *path, char *out, char *why, int size) {
	out[0] = why[0] = 0;
	void *h = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (!h) {
		snprintf(why, size, "%s", dlerror());
		return;
	}
	const ort_api_base *(*get)(void) = (const ort_api_base *(*)(void))dlsym(h, "OrtGetApiBase");
	const ort_api_base *base = get ? get() : NULL;
	if (base)
		snprintf(out, size, "%s", base->GetVersionString());
	else
		snprintf(why, size, "it is not ONNX Runtime: it has no OrtGetApiBase");
	dlclose(h);
}

static int claimed;

// ONNX Runtime's environment exists once in a process, whatever Go does.
static int claim(void)    { return !__atomic_exchange_n(&claimed, 1, __ATOMIC_ACQ_REL); }
static void disclaim(void) { __atomic_store_n(&claimed, 0, __ATOMIC_RELEASE); }
*/
import "C"

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"
)

// minMinor is the minor version of the oldest library that offers the API
// (number 22) which onnxruntime_go v1.23 asks for.
const minMinor = 22

// libraryVersion asks the shared library at path for its version.
func libraryVersion(path string) (string, error) {
	const size = 1024
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	buf := (*[2 * size]C.char)(C.malloc(2 * size))
	defer C.free(unsafe.Pointer(buf))
	C.ort_version(cpath, &buf[0], &buf[size], size)
	if v := C.GoString(&buf[0]); v != "" {
		return v, nil
	}
	return "", errors.New(C.GoString(&buf[size]))
}

// checkVersion refuses a library that is too old for the binding.
func checkVersion(version string) error {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	if err1 != nil || err2 != nil {
		return fmt.Errorf("it says its version is %q", version)
	}
	if a < 1 || a == 1 && b < minMinor {
		return fmt.Errorf("it is version %s and 1.%d or newer is needed", version, minMinor)
	}
	return nil
}

// claimProcess reports whether the caller is the only one to start ONNX
// Runtime in this process; disclaimProcess gives up a claim that led nowhere.
func claimProcess() bool { return C.claim() != 0 }
func disclaimProcess()   { C.disclaim() }
