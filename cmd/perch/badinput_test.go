package main

import (
	"bytes"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each mistake of a user: the exit status that perch --help names, and words
// that say what is wrong.
func TestBadInput(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	good := clip(t, dir)
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // after the parallel rows
	modelDir := in("broken-model")
	if err := os.Mkdir(modelDir, 0o755); err != nil {
		t.Fatal(err)
	}
	model, err := os.ReadFile("../../packaging/models/nanodet-416/model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(modelDir, "model.onnx"), string(model[:len(model)/2]))

	for _, tt := range []struct {
		name   string
		args   []string
		status int
		says   []string
	}{
		{"no command", []string{"proces", good}, exitUsage, []string{`"proces"`, "did you mean process?"}},
		{"no such flag", []string{"process", "--jsno", good}, exitUsage, []string{"--jsno"}},
		{"no file named", []string{"process"}, exitUsage, []string{"at least one file"}},
		{"a negative frame rate", []string{"process", "--max-fps", "-1", good}, exitUsage, []string{"--max-fps -1 is out of range", "0.01 to 240"}},
		{"no frame rate", []string{"process", "--max-fps", "NaN", good}, exitUsage, []string{"--max-fps NaN is out of range"}},
		{"no such file", []string{"process", in("gone.mp4")}, exitNotFound, []string{"gone.mp4", "no such file"}},
		{"text file", []string{"process", write(t, in("notes.mp4"), "These are my notes.\n")}, exitBadInput, []string{"notes.mp4", "not a video"}},
		{"empty file", []string{"process", write(t, in("empty.mp4"), "")}, exitBadInput, []string{"empty.mp4", "empty"}},
		{"truncated mp4", []string{"process", write(t, in("cut.mp4"), string(whole[:len(whole)/2]))}, exitBadInput, []string{"cut.mp4"}},
		{"a track without pictures", []string{"process", write(t, in("hollow.mp4"), hollow(whole))}, exitBadInput, []string{"hollow.mp4", "video"}},
		{"a track without anything", []string{"process", media(t, in("header.mp4"), "videotestsrc num-buffers=0 ! video/x-raw,width=320,height=240,framerate=10/1 ! x264enc ! h264parse ! mp4mux")}, exitBadInput, []string{"header.mp4", "video"}},
		{"a folder", []string{"process", dir}, exitBadInput, []string{"folder"}},
		{"sound only", []string{"process", media(t, in("sound.mp4"), "audiotestsrc num-buffers=20 ! avenc_aac ! mp4mux")}, exitBadInput, []string{"sound.mp4", "no video"}},
		{"unknown codec", []string{"process", unknownCodec(t, in("strange.avi"))}, exitUnsupported, []string{"strange.avi"}},
		{"no such class", []string{"process", "--classes", "unicorn", good}, exitConfig, []string{"unicorn", "person"}},
		{"no such model", []string{"process", "--model", "yolo99", good}, exitNotFound, []string{"yolo99", "perch model list"}},
		{"damaged model", []string{"model", "add", modelDir}, exitBadInput, []string{"model.onnx"}},
		{"model of unknown head", []string{"model", "add", write(t, in("strange.onnx"), strangeModel())}, exitUnsupported, []string{"strange.onnx", "[1,3,64,64]", "yolox"}},
		{"not a model", []string{"model", "add", write(t, in("x.onnx"), "hello")}, exitBadInput, []string{"x.onnx"}},
		{"no such run", []string{"export", "01HZZZZZZZZZZZZZZZZZZZZZZZ"}, exitNotFound, []string{"01HZZZZZZZZZZZZZZZZZZZZZZZ"}},
		{"YAML with a tab", []string{"check", "--config", write(t, in("tab.yaml"), "http:\n\tlisten: :80\n")}, exitConfig, []string{"tab.yaml:2", "tab"}},
		{"unknown key", []string{"check", "--config", write(t, in("key.yaml"), "http:\n  listne: :80\n")}, exitConfig, []string{"key.yaml:2", "listne", "listen"}},
		{"two cameras of one name", []string{"check", "--config", write(t, in("two.yaml"), "cameras:\n  door:\n    url: test://\n  door:\n    url: test://\n")}, exitConfig, []string{"two.yaml:4", "door"}},
		{"no such configuration", []string{"run", "--config", in("none.yaml")}, exitNotFound, []string{"none.yaml"}},
		{"port taken", []string{"run", "--config", write(t, in("port.yaml"), "http:\n  listen: "+taken.Addr().String()+"\n")}, exitConfig, []string{taken.Addr().String(), "in use"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			if tt.name == "no such run" { // wants a database to look in
				if got := finish(t, perch(t, t.Context(), data, "process", in("gone.mp4"))); got.status != exitNotFound {
					t.Fatalf("%+v", got)
				}
			}
			got := finish(t, perch(t, t.Context(), data, tt.args...))
			if got.status != tt.status {
				t.Errorf("exit status %d, want %d\n%s", got.status, tt.status, got.errOut)
			}
			for _, want := range tt.says {
				if !strings.Contains(got.errOut, want) {
					t.Errorf("does not say %q:\n%s", want, got.errOut)
				}
			}
			if strings.Contains(got.errOut, "panic") || strings.Contains(got.errOut, "goroutine ") {
				t.Errorf("crashed:\n%s", got.errOut)
			}
		})
	}
}

// unknownCodec writes an AVI whose pictures claim a codec that nobody has.
func unknownCodec(t *testing.T, path string) string {
	media(t, path, "videotestsrc num-buffers=10 ! video/x-raw,width=320,height=240,framerate=10/1 ! jpegenc ! avimux")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, path, string(bytes.ReplaceAll(b, []byte("MJPG"), []byte("QQZZ"))))
}

// hollow empties the sample tables of an MP4 file (ISO/IEC 14496-12, 8.6 and
// 8.7): the track is still there, with its codec and its size.
func hollow(mp4 []byte) string {
	b := bytes.Clone(mp4)
	for table, count := range map[string]int{"stts": 8, "stsc": 8, "stsz": 12, "stco": 8, "stss": 8, "ctts": 8} {
		if i := bytes.Index(b, []byte(table)); i >= 0 {
			clear(b[i+count:][:4])
		}
	}
	return string(b)
}

// strangeModel is an ONNX graph that hands its picture through: a sound model
// whose output fits no head.
func strangeModel() string {
	str := func(field int, s string) string {
		return string(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(field<<3|2)), uint64(len(s)))) + s
	}
	num := func(field int, v uint64) string {
		return string(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(field<<3)), v))
	}
	value := func(name string, dims ...uint64) string {
		shape := ""
		for _, d := range dims {
			shape += str(1, num(1, d))
		}
		return str(1, name) + str(2, str(1, num(1, 1)+str(2, shape))) // of float32
	}
	node := str(1, "images") + str(2, "out") + str(4, "Identity")
	graph := str(1, node) + str(2, "strange") + str(11, value("images", 1, 3, 64, 64)) + str(12, value("out", 1, 3, 64, 64))
	return num(1, 8) + str(7, graph) + str(8, str(1, "")+num(2, 13))
}
