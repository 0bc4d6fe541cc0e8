package infer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"perch/pipeline"
)

// keepEngines is how many engine folders a cache keeps; the least recently
// used beyond that are removed.
const keepEngines = 8

// tensorRTOptions are the provider's options without the cache.
// https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html
func tensorRTOptions(o Options, p *plan) map[string]string {
	opts := map[string]string{
		"trt_max_workspace_size": strconv.Itoa(1 << 30),
		"trt_fp16_enable":        "0",
	}
	if o.GPUMemLimit > 0 {
		opts["trt_max_workspace_size"] = strconv.FormatInt(min(1<<30, o.GPUMemLimit), 10)
	}
	if o.FP16 {
		opts["trt_fp16_enable"] = "1"
	}
	// Without a profile each new shape rebuilds the engine in the middle of
	// the day (onnxruntime issues 16889 and 22822).
	var least, most []string
	for _, in := range p.inputs {
		if isFixed(in.given) {
			continue
		}
		least = append(least, in.name+":"+dims(in.shape))
		shape := in.shape
		if in.rows {
			shape = withRows(in.shape, p.batch)
		}
		most = append(most, in.name+":"+dims(shape))
	}
	if len(least) > 0 {
		opts["trt_profile_min_shapes"] = strings.Join(least, ",")
		opts["trt_profile_opt_shapes"] = strings.Join(most, ",")
		opts["trt_profile_max_shapes"] = strings.Join(most, ",")
	}
	return opts
}

func dims(shape []int64) string {
	s := make([]string, len(shape))
	for i, d := range shape {
		s[i] = strconv.FormatInt(d, 10)
	}
	return strings.Join(s, "x")
}

// engineFacts is everything that a built engine depends on. ONNX Runtime does
// not check it (onnxruntime issue 22244), so it names the folder.
func (m machine) engineFacts(digest string, lib Library, opts map[string]string) map[string]string {
	facts := m.software()
	facts["model"] = digest
	facts["onnxruntime"] = lib.Version
	so := filepath.Join(filepath.Dir(lib.Path), "libonnxruntime_providers_tensorrt.so")
	if st, err := os.Stat(so); err == nil {
		facts["provider"] = fmt.Sprintf("%d bytes of %s", st.Size(), st.ModTime().UTC().Format(time.RFC3339))
	}
	for k, v := range opts {
		facts["option "+k] = v
	}
	return facts
}

// engineFolder makes the folder for engines with these facts, notes in it what
// they are, and removes the least recently used folders.
func engineFolder(cache string, facts map[string]string) (string, error) {
	hash := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(facts)) {
		fmt.Fprintf(hash, "%q=%q\n", k, facts[k])
	}
	dir := filepath.Join(cache, hex.EncodeToString(hash.Sum(nil))[:32])
	fail := func(err error) (string, error) {
		return "", &pipeline.Error{Op: "prepare TensorRT's engine cache", On: dir, Kind: pipeline.BadConfig, Err: err,
			Hint: "let the user that Perch runs as write there; without it each start builds the engine again, which takes minutes"}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(err)
	}
	note, err := json.MarshalIndent(facts, "", "  ")
	if err != nil {
		return fail(err)
	}
	// Written each time: it proves that the folder can be written to, and its
	// time tells when the engine was last used.
	if err := os.WriteFile(filepath.Join(dir, engineNote), append(note, '\n'), 0o644); err != nil {
		return fail(err)
	}
	return dir, pruneEngines(cache, dir)
}

const engineNote = "built-for.json"

func pruneEngines(cache, keep string) error {
	notes, _ := filepath.Glob(filepath.Join(cache, "*", engineNote))
	used := map[string]time.Time{}
	for _, n := range notes {
		if st, err := os.Stat(n); err == nil && filepath.Dir(n) != keep {
			used[filepath.Dir(n)] = st.ModTime()
		}
	}
	old := slices.SortedFunc(maps.Keys(used), func(a, b string) int { return used[b].Compare(used[a]) })
	for _, dir := range old[min(keepEngines-1, len(old)):] {
		if err := os.RemoveAll(dir); err != nil {
			return &pipeline.Error{Op: "remove an old TensorRT engine", On: dir, Err: err}
		}
	}
	return nil
}
