package sinks

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/workflowtest"
)

const fileSink = "roboflow_core/local_file_sink@v1"

// files are the files below dir, by their path, with their text.
func files(t *testing.T, dir string) (names []string, texts map[string]string) {
	t.Helper()
	texts = map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		b, err := os.ReadFile(path)
		names = append(names, rel)
		texts[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(names)
	return names, texts
}

func TestFiles(t *testing.T) {
	const at = "2026_01_02_03_04_05_"
	text := func(s ...string) (v []workflow.Value) {
		for _, one := range s {
			v = append(v, workflow.StringOf(one))
		}
		return v
	}
	for name, c := range map[string]struct {
		properties string
		entries    []workflow.Value
		want       map[string]string
	}{
		"a file each": {`"output_mode": "separate_files", "file_type": "json", "file_name_prefix": "prediction"`, text(`{"a": 1}`, "{}\n"),
			map[string]string{"prediction_" + at + "000000.json": "{\"a\": 1}\n", "prediction_" + at + "000001.json": "{}\n"}},
		"csv log": {`"output_mode": "append_log", "max_entries_per_file": 2`, text("a,b\n1,2\n", "a,b\n3,4", "a,b\n5,6\n"),
			map[string]string{"workflow_output_" + at + "000000.csv": "a,b\n1,2\n3,4\n", "workflow_output_" + at + "000001.csv": "a,b\n5,6\n"}},
		"csv with a line break in its header": {`"output_mode": "append_log"`, text("\"a\n\"\"x\",b\n1,2\n", "\"a\n\"\"x\",b\n3,4\n", "a,b"),
			map[string]string{"workflow_output_" + at + "000000.csv": "\"a\n\"\"x\",b\n1,2\n3,4\n"}},
		"json log": {`"output_mode": "append_log", "file_type": "json"`, text("{\n  \"a\": [1,\n 2]\n}", "{}"),
			map[string]string{"workflow_output_" + at + "000000.jsonl": "{\"a\":[1,2]}\n{}\n"}},
		"txt log": {`"output_mode": "append_log", "file_type": "txt"`, text("one", "two\n", ""),
			map[string]string{"workflow_output_" + at + "000000.txt": "one\ntwo\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			h := harness(t, Options{AllowWrite: []string{dir}}, newEnv(), fileSink,
				fmt.Sprintf(`"content": "$steps.v.value", "target_directory": %q, %s`, filepath.Join(dir, "deep", "down"), c.properties), c.entries...)
			for range c.entries {
				h.Blank()
				if h.JSON("error") != "false" || h.JSON("message") != `"Data saved successfully"` {
					t.Fatal(status(h))
				}
			}
			names, texts := files(t, filepath.Join(dir, "deep", "down"))
			if len(names) != len(c.want) {
				t.Errorf("files %v", names)
			}
			for name, want := range c.want {
				if texts[name] != want {
					t.Errorf("%s is %q, want %q; there are %v", name, texts[name], want, names)
				}
			}
		})
	}
}

// A log goes on in another file when its folder changes, and one file is open
// at a time.
func TestALogFollowsItsFolder(t *testing.T) {
	dir := t.TempDir()
	e := newEnv()
	h := workflowtest.New(t, strings.Replace(spec(fileSink, `"content": "$inputs.p", "output_mode": "append_log", "file_type": "txt", "target_directory": "$steps.v.value"`), "P & p", "x", 1),
		&e.Env, workflow.Options{}, nil, Manifests(Options{AllowWrite: []string{dir}}), []*workflow.Manifest{workflowtest.Values(workflow.StringOf("a"), workflow.StringOf("b"), workflow.StringOf("a"))})
	for range 3 {
		h.Blank()
		e.pass(time.Minute)
	}
	if names, _ := files(t, dir); len(names) != 3 {
		t.Errorf("files %v", names)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, fd := range open {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, dir) {
			held++
		}
	}
	if held != 1 {
		t.Errorf("%d files are open", held)
	}
}

// A log whose file somebody took away goes on in another, which has what
// was written since, and the header of CSV.
func TestALogWhoseFileIsGone(t *testing.T) {
	for name, take := range map[string]func(path string) error{
		"removed":            os.Remove,
		"its folder removed": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"moved":              func(path string) error { return os.Rename(path, path+".1") },
		"emptied":            func(path string) error { return os.Truncate(path, 0) },
		"replaced": func(path string) error {
			return errors.Join(os.Rename(path, path+".1"), os.WriteFile(path, []byte("somebody's\n"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			e := newEnv()
			var log bytes.Buffer
			e.Log = slog.New(slog.NewTextHandler(&log, nil))
			h := harness(t, Options{AllowWrite: []string{dir}}, e, fileSink, `"content": "$steps.v.value", "output_mode": "append_log", "target_directory": "a"`,
				workflow.StringOf("n\n1\n"), workflow.StringOf("n\n2\n"), workflow.StringOf("n\n3\n"), workflow.StringOf("n\n4\n"))
			h.Blank()
			h.Blank()
			names, texts := files(t, dir)
			if len(names) != 1 || texts[names[0]] != "n\n1\n2\n" || log.Len() > 0 {
				t.Fatalf("%v, %s", texts, &log)
			}
			if err := take(filepath.Join(dir, names[0])); err != nil {
				t.Fatal(err)
			}
			before, _ := files(t, dir)
			e.pass(time.Second)
			for range 2 {
				if h.Blank(); h.JSON("error") != "false" {
					t.Error(status(h))
				}
			}
			after, texts := files(t, dir)
			if len(after) != len(before)+1 || texts[after[len(after)-1]] != "n\n3\n4\n" {
				t.Errorf("%v", texts)
			}
			if strings.Count(log.String(), "entries go to a new one") != 1 || !strings.Contains(log.String(), names[0]) {
				t.Errorf("the log says %s", &log)
			}
		})
	}
}

func TestFilesStayWhereTheyMay(t *testing.T) {
	base := t.TempDir()
	dir, outside := filepath.Join(base, "allowed"), filepath.Join(base, "outside")
	for _, d := range []string{dir, outside, dir + "2"} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"leads-out": outside, "up": "..", "inside": "real", "dangling": filepath.Join(outside, "new")} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	alias := filepath.Join(base, "alias")
	if err := os.Symlink(dir, alias); err != nil {
		t.Fatal(err)
	}
	const fine, step, sink = "", "the step fails", "the sink fails"
	for name, c := range map[string]struct {
		folders     []string
		dir, prefix string
		want, says  string
	}{
		"the folder":         {nil, dir, "x", fine, ""},
		"below it":           {nil, dir + "/a/b", "x", fine, ""},
		"relative":           {nil, "a", "x", fine, ""},
		"a link inside":      {nil, dir + "/inside", "x", fine, ""},
		"through a link":     {[]string{alias}, alias + "/c", "x", fine, ""},
		"its real name":      {[]string{alias}, dir + "/c", "x", fine, ""},
		"a new folder":       {[]string{filepath.Join(base, "new")}, "a", "x", fine, ""},
		"up":                 {nil, dir + "/../outside", "x", step, "has .. in it"},
		"relative and up":    {nil, "../outside", "x", step, "has .. in it"},
		"elsewhere":          {nil, outside, "x", step, "lies outside"},
		"a longer name":      {nil, dir + "2", "x", step, "lies outside"},
		"root":               {nil, "/", "x", step, "lies outside"},
		"nowhere":            {[]string{}, dir, "x", step, "workflows.allow_write"},
		"a NUL":              {nil, dir + "/a\x00b", "x", step, "not a path"},
		"a link out":         {nil, dir + "/leads-out", "x", sink, "escapes"},
		"a link up":          {nil, dir + "/up/outside", "x", sink, "escapes"},
		"a dangling link":    {nil, dir + "/dangling", "x", sink, ""},
		"a path as prefix":   {nil, dir, "../x", step, "slash"},
		"a hidden file":      {nil, dir, ".x", step, "hidden"},
		"a line as prefix":   {nil, dir, "a\nb", step, "control"},
		"a very long prefix": {nil, dir, strings.Repeat("x", 201), step, "201 bytes"},
	} {
		for _, mode := range []string{"separate_files", "append_log"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				o := Options{AllowWrite: []string{dir}}
				if c.folders != nil {
					o.AllowWrite = c.folders
				}
				e := newEnv()
				h := workflowtest.New(t, strings.Replace(spec(fileSink, fmt.Sprintf(`"content": "$inputs.p", "output_mode": %q, "file_type": "txt", "target_directory": "$steps.v.value", "file_name_prefix": "$steps.w.value"`, mode)),
					`"steps": [`, `"steps": [{"type": "test/second@v1", "name": "w"}, `, 1),
					&e.Env, workflow.Options{}, nil, Manifests(o), []*workflow.Manifest{workflowtest.Values(workflow.StringOf(c.dir)), second(c.prefix)})
				_, err := h.Try(workflowtest.Picture(8, 8, 0))
				got, said := fine, ""
				if err != nil {
					got, said = step, err.Error()
				} else if h.JSON("error") == "true" {
					got, said = sink, h.JSON("message")
				}
				if got != c.want || !strings.Contains(said, c.says) {
					t.Errorf("%q, want %q: %s", got, c.want, said)
				}
			})
		}
	}
	if names, _ := files(t, outside); len(names) != 0 {
		t.Errorf("written outside: %v", names)
	}
	if names, _ := files(t, dir+"2"); len(names) != 0 {
		t.Errorf("written beside: %v", names)
	}
	// What is known before the run is said before it.
	for properties, says := range map[string]string{
		`"target_directory": "/etc"`:                         `property "target_directory": "/etc" lies outside`,
		`"target_directory": "x", "file_name_prefix": "a/b"`: `property "file_name_prefix"`,
		`"target_directory": "x", "max_entries_per_file": 0`: "max_entries_per_file",
		`"target_directory": "x", "file_type": "exe"`:        "one of csv, json, txt",
	} {
		if got := refused(t, Options{AllowWrite: []string{dir}}, newEnv(), fileSink, `"content": "$inputs.p", "output_mode": "append_log", `+properties); !strings.Contains(got, says) {
			t.Errorf("%s: %s", properties, got)
		}
	}
}

// second is a block like test/value@v1 with another name.
func second(s string) *workflow.Manifest {
	m := workflowtest.Values(workflow.StringOf(s))
	m.Type = "test/second@v1"
	return m
}

func TestWhatCannotBeWrittenIsSaid(t *testing.T) {
	dir := t.TempDir()
	h := harness(t, Options{AllowWrite: []string{dir}}, newEnv(), fileSink, `"content": "$steps.v.value", "output_mode": "append_log", "file_type": "json", "target_directory": "a"`, workflow.StringOf("{"), workflow.StringOf("{}"))
	h.Blank()
	if h.JSON("error") != "true" || h.JSON("message") != `"Invalid JSON content"` {
		t.Error(status(h))
	}
	if h.Blank(); h.JSON("error") != "false" {
		t.Error(status(h))
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h = harness(t, Options{AllowWrite: []string{dir}}, newEnv(), fileSink, `"content": "$steps.v.value", "output_mode": "separate_files", "target_directory": "file/below"`, workflow.StringOf("x"))
	if h.Blank(); h.JSON("error") != "true" || !strings.HasPrefix(h.JSON("message"), `"Could not save: `) {
		t.Error(status(h))
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	log := &logFile{target: target{folder: dir}, file: full}
	if err := log.add("entry\n", time.Now()); !errors.Is(err, syscall.ENOSPC) || log.entries != 0 {
		t.Errorf("%v, %d entries", err, log.entries)
	}
	full.Close()
}

// writeToASmallDisk is the process that may mount one. The first disk holds
// what must stay free and little more: it fills up. The second never had room.
func writeToASmallDisk(dir string) {
	for _, size := range []int{minFree>>20 + 1, minFree>>20 - 1} {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", size)); err != nil {
			fmt.Println("no mount:", err)
			return
		}
		at := target{folder: dir, below: "a", prefix: "x", ending: "txt"}
		written := 0
		var err error
		for written < 100 && err == nil {
			if err = at.write(workflowtest.Start(), strings.Repeat("x", 100<<10)); err == nil {
				written++
			}
		}
		fmt.Printf("%d MiB: some %v, all whole %v: %v\n", size, written > 0, whole100(dir, written), err)
		if err := syscall.Unmount(dir, 0); err != nil {
			fmt.Println("unmount:", err)
		}
	}
}

// whole100 reports whether there are n files and all have their full length.
func whole100(dir string, n int) bool {
	list, err := filepath.Glob(filepath.Join(dir, "a", "*"))
	hidden, herr := filepath.Glob(filepath.Join(dir, "a", ".x*"))
	if err != nil || herr != nil || len(list) != n || len(hidden) != 0 {
		return false
	}
	for _, name := range list {
		if info, err := os.Stat(name); err != nil || info.Size() != 100<<10 {
			return false
		}
	}
	return true
}

func TestADiskThatFills(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "PERCH_SINKS_DISK="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
	}
	out, err := cmd.Output()
	if errors.Is(err, syscall.EPERM) || strings.HasPrefix(string(out), "no mount") {
		t.Skipf("this user may not mount a file system to fill: %v %s", err, out)
	}
	want := []string{"65 MiB: some true, all whole true: the disk of ", "63 MiB: some false, all whole true: the disk of "}
	for _, w := range want {
		if err != nil || !strings.Contains(string(out), w) {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
