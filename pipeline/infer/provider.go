package infer

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"perch/pipeline"
)

// sessionOptions are the options for a session on provider, with the lesser
// ones of o behind it for operators that it does not have. The caller destroys
// them.
func (op *opening) sessionOptions(provider string) (so *ort.SessionOptions, err error) {
	if so, err = ort.NewSessionOptions(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, so.Destroy())
		}
	}()
	threads, spin := op.o.Threads, "0"
	if !onCPU(provider) {
		threads = 1 // a few shape operators at most run beside the GPU
	}
	if op.o.Spin {
		spin = "1"
	}
	err = errors.Join(
		so.SetIntraOpNumThreads(threads),
		so.SetInterOpNumThreads(1),
		so.AddSessionConfigEntry("session.intra_op.allow_spinning", spin),
		so.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
		// With the arena NanoDet peaks at 126 MB and without it at 190 to 300,
		// because freed blocks of odd sizes are not used again. On a GPU the
		// arena would only hold memory that the board shares.
		so.SetCpuMemArena(onCPU(provider)),
		so.SetLogSeverityLevel(ort.LoggingLevelFatal), // errors come back as values
	)
	if err != nil {
		return so, err
	}
	from := slices.Index(op.o.Providers, provider)
	for _, p := range op.o.Providers[from:] {
		if p != provider && (needsEngine(p) || op.rt.machine.missing(p, op.lib.Path) != "") {
			continue
		}
		if err := op.append(so, p); err != nil {
			return so, err
		}
	}
	return so, nil
}

// onCPU reports whether a model on provider is computed by the CPU.
func onCPU(provider string) bool { return provider == CPU || provider == Rehearsal }

func (op *opening) append(so *ort.SessionOptions, provider string) error {
	switch provider {
	case TensorRT:
		return op.appendTensorRT(so)
	case CUDA:
		return op.appendCUDA(so)
	case Rehearsal:
		return rehearse(op.left, op.engine.dir, op.o.RehearsalTime)
	}
	return nil // the CPU is always there, behind all others
}

func (op *opening) appendTensorRT(so *ort.SessionOptions) error {
	if op.engine.dir == "" {
		op.o.Log.Warn("TensorRT engines are not kept: each start builds them again", "model", op.name)
	}
	trt, err := ort.NewTensorRTProviderOptions()
	if err != nil {
		return err
	}
	defer trt.Destroy() // fails only when it was destroyed before
	if err := trt.Update(op.engine.options); err != nil {
		return err
	}
	return so.AppendExecutionProviderTensorRT(trt)
}

func (op *opening) appendCUDA(so *ort.SessionOptions) error {
	cuda, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer cuda.Destroy() // fails only when it was destroyed before
	// The default doubles the arena each time it grows, which a board that
	// shares its memory between CPU and GPU cannot afford.
	opts := map[string]string{"arena_extend_strategy": "kSameAsRequested"}
	if op.o.GPUMemLimit > 0 {
		opts["gpu_mem_limit"] = strconv.FormatInt(op.o.GPUMemLimit, 10)
	}
	if err := cuda.Update(opts); err != nil {
		return err
	}
	return so.AppendExecutionProviderCUDA(cuda)
}

// choose loads the model on the best provider that works.
func (op *opening) choose() (err error) {
	var reasons []string
	for _, p := range op.o.Providers {
		if p == op.better {
			break
		}
		why := op.rt.machine.missing(p, op.lib.Path)
		if why == "" && op.o.OnlyReady && !op.o.Strict {
			if why, err = op.notReady(p); err != nil {
				return err
			}
		}
		if why == "" {
			if p != CPU {
				op.o.Log.Info("loading model", "model", op.name, "provider", p)
			}
			err := op.load(p)
			if err == nil {
				op.choice = pipeline.ProviderChoice{Name: p, Why: reasonsLine(reasons)}
				return nil
			}
			kind := pipeline.KindOf(err)
			if p == CPU || kind == pipeline.BadConfig || kind == pipeline.Busy && op.o.Strict {
				return err // nothing lesser would mend it
			}
			why = oneLine(err)
		}
		reasons = append(reasons, p+": "+why)
		if op.o.Strict {
			break
		}
	}
	if len(reasons) == 0 {
		reasons = []string{"it runs on " + op.better + " already, the best that is allowed"}
	}
	return &pipeline.Error{Op: "open model", On: op.name, Kind: pipeline.Unsupported,
		Err: errors.New(reasonsLine(reasons)), Hint: "make the provider work (perch doctor helps), or allow cpu"}
}

// reasonsLine joins reasons, those that several providers share only once.
func reasonsLine(reasons []string) string {
	var out []string
	for _, r := range reasons {
		p, why, _ := strings.Cut(r, ": ")
		if n := len(out); n > 0 {
			if q, before, _ := strings.Cut(out[n-1], ": "); before == why {
				out[n-1] = q + ", " + p + ": " + why
				continue
			}
		}
		out = append(out, r)
	}
	return strings.Join(out, "; ")
}

// oneLine is an error of ONNX Runtime without its C++ source locations.
func oneLine(err error) string {
	s := strings.Join(strings.Fields(err.Error()), " ")
	const limit = 400
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + " …"
	}
	return s
}
