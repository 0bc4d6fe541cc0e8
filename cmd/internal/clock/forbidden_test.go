package clock

import (
	"errors"
	"runtime"
	"syscall"
	"testing"
	"unsafe"
)

// In a sandbox that forbids the question the answer is not "no" but unknown. The
// filter holds for one thread, which ends with its goroutine.
func TestTheKernelMayNotBeAsked(t *testing.T) {
	type answer struct {
		yes         bool
		err, filter error
	}
	answers := make(chan answer)
	go func() {
		runtime.LockOSThread()
		filter := forbid(syscall.SYS_ADJTIMEX)
		yes, err := Synchronised()
		answers <- answer{yes, err, filter}
	}()
	got := <-answers
	if got.filter != nil {
		t.Fatalf("no filter of system calls: %v", got.filter)
	}
	if got.yes || !errors.Is(got.err, syscall.EPERM) {
		t.Errorf("synchronised %v, error %v", got.yes, got.err)
	}
	if _, err := Synchronised(); err != nil {
		t.Logf("this machine itself does not say: %v", err)
	}
}

// forbid makes a system call fail with EPERM in this thread, as systemd's
// SystemCallFilter does.
func forbid(call uint32) error {
	const (
		setNoNewPrivs, setSeccomp, modeFilter = 38, 22, 2
		loadWord, jumpIfEqual, ret            = 0x20, 0x15, 0x06
		allow, fail                           = 0x7fff0000, 0x00050000
	)
	type instruction struct {
		code   uint16
		jt, jf uint8
		k      uint32
	}
	code := []instruction{{loadWord, 0, 0, 0}, {jumpIfEqual, 0, 1, call}, {ret, 0, 0, fail | uint32(syscall.EPERM)}, {ret, 0, 0, allow}}
	program := struct {
		n    uint16
		code *instruction
	}{uint16(len(code)), &code[0]}
	if _, _, errno := syscall.Syscall6(syscall.SYS_PRCTL, setNoNewPrivs, 1, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_PRCTL, setSeccomp, modeFilter, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return errno
	}
	return nil
}
