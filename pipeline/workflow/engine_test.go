package workflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"perch/pipeline"
	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks"
	"perch/pipeline/workflow/workflowtest"
)

// doc makes a document with outputs, each name=selector.
func doc(outputs []string, steps ...string) string {
	var outs []string
	for _, o := range outputs {
		name, sel, _ := strings.Cut(o, "=")
		outs = append(outs, fmt.Sprintf(`{"type": "JsonField", "name": %q, "selector": %q}`, name, sel))
	}
	return fmt.Sprintf(`{"version": "1.0", "inputs": [%s], "steps": [%s], "outputs": [%s]}`, image, strings.Join(steps, ","), strings.Join(outs, ","))
}

func harness(t testing.TB, spec string, o workflow.Options, more ...*workflow.Manifest) *workflowtest.Harness {
	t.Helper()
	return workflowtest.New(t, spec, nil, o, nil, blocks.All(), testBlocks(), more)
}

func TestListsNestAndFlowControlPicksElements(t *testing.T) {
	steps := []string{
		`{"type": "test/cropper@v1", "name": "outer", "image": "$inputs.image", "n": 3}`,
		`{"type": "test/cropper@v1", "name": "inner", "image": "$steps.outer.crops", "n": 2}`,
		`{"type": "test/pass@v1", "name": "some", "value": "$steps.inner.index", "above": 5, "next_steps": ["$steps.echo"]}`,
		`{"type": "test/echo@v1", "name": "echo", "value": "$steps.inner.index"}`,
		`{"type": "test/or_empty@v1", "name": "always", "value": "$steps.echo.value"}`,
		`{"type": "test/gather@v1", "name": "lists", "data": "$steps.inner.index"}`,
		`{"type": "test/gather@v1", "name": "list", "data": "$steps.lists.list"}`,
	}
	h := harness(t, doc([]string{"a=$steps.outer.index", "b=$steps.inner.index", "c=$steps.echo.value", "d=$steps.always.value", "e=$steps.list.list"}, steps...), workflow.Options{})
	for range 3 { // memory is used again
		h.Blank()
		for name, want := range map[string]string{
			"a": "[0,1,2]", "b": "[[0,1],[10,11],[20,21]]",
			"c": "[[null,null],[10,11],[20,21]]", "d": `[["empty","empty"],[10,11],[20,21]]`, "e": "[[0,1],[10,11],[20,21]]",
		} {
			if got := h.JSON(name); got != want {
				t.Errorf("output %s is %s, want %s", name, got, want)
			}
		}
	}
}

func TestABranchThatEndedLeavesNull(t *testing.T) {
	steps := []string{
		`{"type": "test/value@v1", "name": "v"}`,
		`{"type": "test/pass@v1", "name": "gate", "value": "$steps.v.value", "above": 1, "next_steps": ["$steps.next"]}`,
		`{"type": "test/cropper@v1", "name": "next", "image": "$inputs.image"}`,
		`{"type": "test/echo@v1", "name": "after", "value": "$steps.next.index"}`,
		`{"type": "test/pass@v1", "name": "gate2", "value": "$steps.v.value", "above": 2, "next_steps": ["$steps.both"]}`,
		`{"type": "test/pass@v1", "name": "gate3", "value": "$steps.v.value", "above": 1, "next_steps": ["$steps.both", "$steps.gate4"]}`,
		`{"type": "test/echo@v1", "name": "both", "value": "$steps.v.value"}`,
		`{"type": "test/pass@v1", "name": "gate4", "value": "$steps.v.value", "above": 0, "next_steps": ["$steps.last"]}`,
		`{"type": "test/echo@v1", "name": "last", "value": "$steps.v.value"}`,
	}
	h := harness(t, doc([]string{"next=$steps.after.value", "both=$steps.both.value", "last=$steps.last.value"}, steps...), workflow.Options{},
		workflowtest.Values(workflow.IntOf(1), workflow.IntOf(2), workflow.IntOf(3), workflow.Value{}))
	for i, want := range []string{
		`null null null`, // 1: no gate opens; gate4 itself is behind a gate
		`[0,1] null 2`,   // 2
		`[0,1] 3 3`,      // 3
		`null null null`, // null stops what reads it
	} {
		h.Blank()
		if got := h.JSON("next") + " " + h.JSON("both") + " " + h.JSON("last"); got != want {
			t.Errorf("frame %d: %s, want %s", i+1, got, want)
		}
	}
}

// Nothing found is an empty list, and a step that did not look leaves null.
func TestAListThatWasNotMadeIsNull(t *testing.T) {
	steps := []string{
		`{"type": "test/value@v1", "name": "v"}`,
		`{"type": "test/pass@v1", "name": "gate", "value": "$steps.v.value", "above": -1, "next_steps": ["$steps.crops"]}`,
		`{"type": "test/cropper@v1", "name": "crops", "image": "$inputs.image", "n": "$steps.v.value"}`,
		`{"type": "test/gather@v1", "name": "list", "data": "$steps.crops.index"}`,
		`{"type": "test/or_empty@v1", "name": "after", "value": "$steps.list.list"}`,
		`{"type": "test/cropper@v1", "name": "outer", "image": "$inputs.image", "n": 3}`,
		`{"type": "test/pass@v1", "name": "some", "value": "$steps.outer.index", "above": 0, "next_steps": ["$steps.inner"]}`,
		`{"type": "test/cropper@v1", "name": "inner", "image": "$steps.outer.crops", "n": "$steps.v.value"}`,
		`{"type": "test/gather@v1", "name": "inners", "data": "$steps.inner.index"}`,
	}
	h := harness(t, doc([]string{"crops=$steps.crops.index", "list=$steps.list.list", "after=$steps.after.value", "inner=$steps.inner.index", "inners=$steps.inners.list"}, steps...), workflow.Options{},
		workflowtest.Values(workflow.IntOf(-1), workflow.IntOf(0), workflow.IntOf(2), workflow.IntOf(-1)))
	if got := h.Value("crops"); !got.IsNull() {
		t.Errorf("before the first frame: %s", got.Describe())
	}
	for i, want := range []string{
		`null null "empty" [null,[],[]] [null,[],[]]`,
		`[] [] [] [null,[],[]] [null,[],[]]`,
		`[0,1] [0,1] [0,1] [null,[10,11],[20,21]] [null,[10,11],[20,21]]`,
		`null null "empty" [null,[],[]] [null,[],[]]`,
	} {
		h.Blank()
		var got []string
		for _, name := range []string{"crops", "list", "after", "inner", "inners"} {
			got = append(got, h.JSON(name))
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("frame %d: %s, want %s", i+1, got, want)
		}
	}
}

// What was found belongs to the image input of the document, whatever its name.
func TestTheFrameIsCalledAsItsInput(t *testing.T) {
	text := strings.ReplaceAll(doc([]string{"p=$steps.d.predictions"}, `{"type": "test/detections@v1", "name": "d", "image": "$inputs.image"}`), `"name": "image"`, `"name": "camera_picture"`)
	text = strings.ReplaceAll(text, "$inputs.image", "$inputs.camera_picture")
	for _, o := range []workflow.Options{{}, {ImageInput: "camera_picture"}} {
		h := harness(t, text, o, workflowtest.Detections([]workflow.Detection{workflowtest.Det(1, 2, 3, 4, 5, "cat", 0.5, 7)}))
		h.Blank()
		if got := h.JSON("p"); !strings.Contains(got, `"parent_id":"camera_picture"`) {
			t.Errorf("with %q: %s", o.ImageInput, got)
		}
	}
}

func TestAllOutputsOfAStep(t *testing.T) {
	h := harness(t, doc([]string{"all=$steps.a.*", "image=$inputs.image"}, `{"type": "test/cropper@v1", "name": "a", "image": "$inputs.image", "n": 0}`), workflow.Options{})
	h.Blank()
	if got := h.JSON("all"); got != `{"crops":[],"index":[]}` {
		t.Error(got)
	}
	o := h.Last.Outputs
	if o.Len() != 2 || o.IsImage(0) || !o.IsImage(1) {
		t.Error("which outputs are images")
	}
	if pic, ok := o.Image(1); !ok || pic.Width != 64 {
		t.Errorf("image output: %v %v", pic.Width, ok)
	}
}

// faulty fails on the frames whose numbers it is given.
func faulty(err error, frames ...int64) *workflow.Manifest {
	return &workflow.Manifest{
		Type:    "test/faulty@v1",
		Fields:  []workflow.Field{{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}}},
		Outputs: []workflow.Output{{Name: "value", Kinds: workflow.Anything()}},
		New: func(*workflow.Params) (workflow.Block, error) {
			return faultyBlock{err, frames}, nil
		},
	}
}

type faultyBlock struct {
	err    error
	frames []int64
}

func (b faultyBlock) Run(c *workflow.Call) error {
	for _, n := range b.frames {
		if n == c.Frame().Number {
			return b.err
		}
	}
	c.Set(0, workflow.IntOf(c.Frame().Number))
	return nil
}

func TestAStepThatFails(t *testing.T) {
	text := doc([]string{"n=$steps.f.value"}, `{"type": "test/faulty@v1", "name": "f", "image": "$inputs.image"}`)
	fault := errors.New("the lens is dirty")
	t.Run("strict", func(t *testing.T) {
		h := harness(t, text, workflow.Options{}, faulty(fault, 2))
		h.Blank()
		if _, err := h.Try(workflowtest.Picture(64, 48, 1)); err == nil || err.Error() != `step "f" (test/faulty@v1): the lens is dirty` {
			t.Errorf("got %v", err)
		}
		h.Blank()
		if h.JSON("n") != "3" {
			t.Error("the run does not go on")
		}
	})
	t.Run("tolerant", func(t *testing.T) {
		h := harness(t, text, workflow.Options{Tolerant: true}, faulty(fault, 2))
		h.Blank()
		r := h.Blank()
		if !reflect.DeepEqual(r.Errors, []string{`step "f" (test/faulty@v1): the lens is dirty`}) || h.JSON("n") != "null" {
			t.Errorf("errors %q, output %s", r.Errors, h.JSON("n"))
		}
		if r = h.Blank(); r.Errors != nil || h.JSON("n") != "3" {
			t.Error("the fault stays")
		}
	})
	t.Run("stuck", func(t *testing.T) {
		h := harness(t, text, workflow.Options{Tolerant: true}, faulty(&pipeline.Error{Op: "infer", Kind: pipeline.Stuck, Err: fault}, 1))
		if _, err := h.Try(workflowtest.Picture(64, 48, 1)); pipeline.KindOf(err) != pipeline.Stuck {
			t.Errorf("got %v", err)
		}
	})
}

// reluctant does not start on the frames whose numbers it is given.
type reluctant struct{ faultyBlock }

func (b reluctant) Start(c *workflow.Call) (workflow.Pending, error) {
	if slices.Contains(b.frames, c.Frame().Number) {
		return nil, b.err
	}
	return &slowWork{log: new([]string)}, nil
}

func (b reluctant) Run(c *workflow.Call) error { return faultyBlock{}.Run(c) }

func TestAStepThatDoesNotStart(t *testing.T) {
	text := doc([]string{"n=$steps.f.value"}, `{"type": "test/faulty@v1", "name": "f", "image": "$inputs.image"}`)
	start := func(t *testing.T, o workflow.Options, err error) *workflowtest.Harness {
		m := faulty(err, 2)
		m.New = func(*workflow.Params) (workflow.Block, error) { return reluctant{faultyBlock{err, []int64{2}}}, nil }
		h := harness(t, text, o, m)
		h.Blank()
		return h
	}
	fault := errors.New("the model is on holiday")
	const says = `step "f" (test/faulty@v1): the model is on holiday`
	t.Run("strict", func(t *testing.T) {
		if _, err := start(t, workflow.Options{}, fault).Try(workflowtest.Picture(64, 48, 1)); err == nil || err.Error() != says {
			t.Errorf("got %v", err)
		}
	})
	t.Run("tolerant", func(t *testing.T) {
		h := start(t, workflow.Options{Tolerant: true}, fault)
		if r := h.Blank(); !reflect.DeepEqual(r.Errors, []string{says}) || h.JSON("n") != "null" {
			t.Errorf("errors %q, output %s", r.Errors, h.JSON("n"))
		}
		if r := h.Blank(); r.Errors != nil || h.JSON("n") != "3" {
			t.Errorf("the fault stays: errors %q, output %s", r.Errors, h.JSON("n"))
		}
	})
	t.Run("stuck", func(t *testing.T) {
		h := start(t, workflow.Options{Tolerant: true}, &pipeline.Error{Op: "infer", Kind: pipeline.Stuck, Err: fault})
		if _, err := h.Try(workflowtest.Picture(64, 48, 1)); pipeline.KindOf(err) != pipeline.Stuck {
			t.Errorf("got %v", err)
		}
	})
}

// slow is a block whose work is started; it counts what is open.
type slow struct {
	image workflow.In
	log   *[]string
}

func slowBlock(log *[]string) *workflow.Manifest {
	return &workflow.Manifest{
		Type:    "test/slow@v1",
		Fields:  []workflow.Field{{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}}, {Name: "after", Kinds: workflow.Anything()}},
		Outputs: []workflow.Output{{Name: "n", Kinds: workflow.Anything()}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return &slow{p.In("image"), log}, nil
		},
	}
}

type slowWork struct {
	n   int64
	log *[]string
}

func (w *slowWork) Abandon() { *w.log = append(*w.log, fmt.Sprintf("abandon %d", w.n)) }

func (b *slow) Start(c *workflow.Call) (workflow.Pending, error) {
	*b.log = append(*b.log, fmt.Sprintf("start %d.%d", c.Frame().Number, c.Index()))
	return &slowWork{c.Frame().Number, b.log}, nil
}

func (b *slow) Run(c *workflow.Call) error {
	w := c.Pending().(*slowWork)
	*b.log = append(*b.log, fmt.Sprintf("run %d.%d", w.n, c.Index()))
	c.Set(0, workflow.IntOf(w.n))
	return nil
}

// lent is a frame for tests that begin one before they finish another.
type lent struct{ n uint64 }

func (f lent) Info() pipeline.FrameInfo  { return pipeline.FrameInfo{Seq: f.n, Width: 8, Height: 8} }
func (f lent) Picture() pipeline.Picture { return pipeline.NewPicture(8, 8) }
func (f lent) Retain() pipeline.Frame    { return f }
func (f lent) Release()                  {}

func TestModelsStartBeforeTheirTurn(t *testing.T) {
	var log []string
	lib := workflow.NewLibrary(blocks.All(), testBlocks(), []*workflow.Manifest{slowBlock(&log), faulty(errors.New("no"), 3)})
	g, err := workflow.Compile([]byte(doc([]string{"n=$steps.late.n"},
		`{"type": "test/slow@v1", "name": "early", "image": "$inputs.image"}`,
		`{"type": "test/cropper@v1", "name": "crops", "image": "$inputs.image", "n": 2}`,
		`{"type": "test/faulty@v1", "name": "faulty", "image": "$inputs.image"}`,
		`{"type": "test/slow@v1", "name": "late", "image": "$steps.crops.crops", "after": "$steps.early.n"}`)), lib, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := g.Bind(nil, workflow.Options{})
	if err != nil {
		t.Fatal(err)
	}
	begin := func(n uint64) pipeline.Work {
		w, err := e.Begin(context.Background(), lent{n})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	one := begin(1)
	two := begin(2)
	finish := func(w pipeline.Work) error { return w.Finish(context.Background(), &pipeline.Result{}) }
	if err := errors.Join(finish(one), finish(two)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"start 1.0", "start 2.0", // both frames, before either has its turn
		"run 1.0", "start 1.0", "start 1.1", "run 1.0", "run 1.1", // all crops are started, then each is run
		"run 2.0", "start 2.0", "start 2.1", "run 2.0", "run 2.1",
	}
	if !reflect.DeepEqual(log, want) {
		t.Errorf("order\n\t%q\nwant\n\t%q", log, want)
	}
	log = nil
	three := begin(3)
	if err := finish(three); err == nil {
		t.Fatal("frame 3 should fail")
	}
	if want := []string{"start 3.0", "run 3.0"}; !reflect.DeepEqual(log, want) {
		t.Errorf("a frame that fails: %q, want %q", log, want)
	}
}

func TestWhatWasStartedIsAbandonedWithItsFrame(t *testing.T) {
	var log []string
	lib := workflow.NewLibrary(blocks.All(), testBlocks(), []*workflow.Manifest{slowBlock(&log), faulty(errors.New("no"), 1)})
	g, err := workflow.Compile([]byte(doc(nil,
		`{"type": "test/faulty@v1", "name": "faulty", "image": "$inputs.image"}`,
		`{"type": "test/slow@v1", "name": "early", "image": "$inputs.image"}`)), lib, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := g.Bind(nil, workflow.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := e.Begin(context.Background(), lent{1})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(context.Background(), &pipeline.Result{}); err == nil {
		t.Fatal("should fail")
	}
	if want := []string{"start 1.0", "abandon 1"}; !reflect.DeepEqual(log, want) {
		t.Errorf("%q, want %q", log, want)
	}
}

// painter sets the first pixel of a canvas.
func painter() *workflow.Manifest {
	return &workflow.Manifest{
		Type:    "test/painter@v1",
		Fields:  []workflow.Field{{Name: "image", Required: true, Kinds: []workflow.Kind{workflow.ImageKind}}},
		Outputs: []workflow.Output{{Name: "image", Kinds: []workflow.Kind{workflow.ImageKind}}},
		New: func(p *workflow.Params) (workflow.Block, error) {
			return painterBlock{p.In("image")}, nil
		},
	}
}

type painterBlock struct{ image workflow.In }

func (b painterBlock) Run(c *workflow.Call) error {
	img, err := c.Canvas(b.image)
	if err != nil {
		return err
	}
	img.Picture.Planes[0][0]++
	c.Set(0, workflow.ImageOf(img))
	return nil
}

// Drawing upon drawing copies the frame once.
func TestAChainOfDrawingsSharesACanvas(t *testing.T) {
	var drawn []*byte
	m := painter()
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		return watched{painterBlock{p.In("image")}, &drawn}, nil
	}
	h := harness(t, doc([]string{"c=$steps.c.image"}, `{"type": "test/painter@v1", "name": "a", "image": "$inputs.image"}`,
		`{"type": "test/painter@v1", "name": "b", "image": "$steps.a.image"}`, `{"type": "test/painter@v1", "name": "c", "image": "$steps.b.image"}`), workflow.Options{}, m)
	h.Blank()
	if len(drawn) != 3 || drawn[0] != drawn[1] || drawn[1] != drawn[2] {
		t.Errorf("drawn on %p", drawn)
	}
}

// watched notes what its painter drew on.
type watched struct {
	painterBlock
	drawn *[]*byte
}

func (b watched) Run(c *workflow.Call) error {
	img, err := c.Canvas(b.image)
	if err != nil {
		return err
	}
	*b.drawn = append(*b.drawn, &img.Picture.Planes[0][0])
	c.Set(0, workflow.ImageOf(img))
	return nil
}

func TestNobodySeesAnothersDrawing(t *testing.T) {
	h := harness(t, doc([]string{"in=$inputs.image", "a=$steps.a.image", "b=$steps.b.image", "d=$steps.d.image"},
		`{"type": "test/painter@v1", "name": "a", "image": "$inputs.image"}`,
		`{"type": "test/painter@v1", "name": "b", "image": "$steps.a.image"}`, // a is an output as well: copied
		`{"type": "test/painter@v1", "name": "c", "image": "$steps.b.image"}`, // so is b
		`{"type": "test/painter@v1", "name": "d", "image": "$steps.c.image"}`, // c is seen by nobody else: drawn in place
	), workflow.Options{}, painter())
	for range 2 {
		h.Frame(workflowtest.Picture(64, 48, 100))
		pics := map[string]pipeline.Picture{}
		for name, want := range map[string]byte{"in": 100, "a": 101, "b": 102, "d": 104} {
			img, ok := h.Value(name).Image()
			if !ok || img.Picture.Planes[0][0] != want {
				t.Fatalf("%s: first pixel %d, want %d", name, img.Picture.Planes[0][0], want)
			}
			pics[name] = img.Picture
		}
	}
}

// An image that a step hands on, or keeps, is also where it came from, so nobody
// may draw on it, even where only one step reads what was handed on.
func TestADrawingStaysOffWhatWasHandedOn(t *testing.T) {
	steps := []string{
		`{"type": "test/value@v1", "name": "v"}`,
		`{"type": "test/painter@v1", "name": "from", "image": "$inputs.image"}`,
	}
	for what, by := range map[string]string{
		"first_non_empty":     `{"type": "FirstNonEmptyOrDefault", "name": "on", "data": ["$steps.from.image"]}`,
		"property_definition": `{"type": "PropertyDefinition", "name": "on", "data": "$steps.from.image", "operations": []}`,
		"expression":          `{"type": "Expression", "name": "on", "data": {"x": "$steps.from.image"}, "switch": {"type": "CasesDefinition", "cases": [], "default": {"type": "DynamicCaseResult", "parameter_name": "x"}}}`,
		"perspective":         `{"type": "PerspectiveCorrection", "name": "on", "images": "$steps.from.image", "perspective_polygons": [[0, 0], [20, 0], [20, 20], [0, 20]]}`,
		"cache_set":           `{"type": "roboflow_core/cache_set@v1", "name": "on", "image": "$inputs.image", "key": "k", "value": "$steps.from.image"}`,
		"cache_get": `{"type": "test/pass@v1", "name": "once", "value": "$steps.v.value", "next_steps": ["$steps.set"]},
			{"type": "roboflow_core/cache_set@v1", "name": "set", "image": "$inputs.image", "key": "k", "value": "$steps.from.image"},
			{"type": "roboflow_core/cache_get@v1", "name": "on", "image": "$inputs.image", "key": "k"}`,
	} {
		t.Run(what, func(t *testing.T) {
			port := map[string]string{"perspective": "warped_image"}[what]
			if port == "" {
				port = "output"
			}
			h := harness(t, doc([]string{"from=$steps.from.image", "drawn=$steps.drawn.image"}, append(steps, by, `{"type": "test/painter@v1", "name": "drawn", "image": "$steps.on.`+port+`"}`)...),
				workflow.Options{}, painter(), workflowtest.Values(workflow.IntOf(1), workflow.IntOf(0)))
			for frame := range 3 {
				h.Frame(workflowtest.Picture(64, 48, 100))
				for name, want := range map[string]byte{"from": 101, "drawn": 102} {
					if img, ok := h.Value(name).Image(); !ok || img.Picture.Planes[0][0] != want {
						t.Errorf("frame %d: first pixel of %s is %d, want %d", frame, name, img.Picture.Planes[0][0], want)
					}
				}
			}
		})
	}
}

func TestMainDetectionsStandForTheFrame(t *testing.T) {
	frames := [][]workflow.Detection{{workflowtest.Det(1, 2, 3, 4, 5, "cat", 0.5, 7)}}
	for name, outs := range map[string][]string{"an output": {"x=$inputs.image", "p=$steps.d.predictions"}, "the last step": nil} {
		t.Run(name, func(t *testing.T) {
			h := harness(t, doc(outs, `{"type": "test/detections@v1", "name": "d", "image": "$inputs.image"}`), workflow.Options{}, workflowtest.Detections(frames...))
			r := h.Blank()
			if len(r.Detections) != 1 || r.Detections[0].Label != "cat" || r.Detections[0].Track != 7 {
				t.Errorf("%+v", r.Detections)
			}
		})
	}
}

func TestDetectionsAreWrittenAsClientsReadThem(t *testing.T) {
	d := workflowtest.Det(10, 20, 30, 60, 2, "dog", 0.25, 9)
	d.Has = workflow.HasTimeInZone | workflow.HasVelocity | workflow.HasPathDeviation | workflow.HasArea | workflow.HasConvertedArea | workflow.HasPolygon
	d.TimeInZone, d.Velocity, d.Speed, d.SmoothedVelocity, d.SmoothedSpeed, d.PathDeviation = 1.5, [2]float64{3, 4}, 5, [2]float64{1, 0}, 1, 2.5
	d.AreaPX, d.AreaConverted, d.Polygon = 800, 8, []pipeline.Point{{X: 10.4, Y: 20.6}, {X: 30, Y: 20}, {X: 30, Y: 60}}
	d.Keypoints = []pipeline.Keypoint{{Point: pipeline.Point{X: 11, Y: 21}, Score: 0.5}}
	d.ID = workflow.ID{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x4e, 0xf0, 0x81, 2, 3, 4, 5, 6, 7, 8}
	items := &workflow.Detections{
		Origin:    workflow.Origin{Name: "crop", X: 100, Y: 200, Width: 50, Height: 70, Root: "image", RootWidth: 640, RootHeight: 480},
		Keypoints: []string{"nose"}, Items: []workflow.Detection{d},
	}
	const tail = `"velocity":[3.0,4.0],"speed":5.0,"smoothed_velocity":[1.0,0.0],"smoothed_speed":1.0,"area_px":800.0,"area_converted":8.0}]}`
	for name, c := range map[string]struct {
		own  bool
		want string
	}{
		"parent": {false, `{"image":{"width":640,"height":480},"predictions":[{"width":20.0,"height":40.0,"x":120.0,"y":240.0,"confidence":0.25,"class_id":2,"tracker_id":9,"class":"dog",` +
			`"detection_id":"12345678-9abc-4ef0-8102-030405060708","path_deviation":2.5,"time_in_zone":1.5,"polygon":[[110,221],[130,220],[130,260]],"parent_id":"image",` +
			`"keypoints":[{"class_id":0,"class":"nose","confidence":0.5,"x":111.0,"y":221.0}],` + tail},
		"own": {true, `{"image":{"width":50,"height":70},"predictions":[{"width":20.0,"height":40.0,"x":20.0,"y":40.0,"confidence":0.25,"class_id":2,"tracker_id":9,"class":"dog",` +
			`"detection_id":"12345678-9abc-4ef0-8102-030405060708","path_deviation":2.5,"time_in_zone":1.5,"polygon":[[10,21],[30,20],[30,60]],"parent_id":"crop",` +
			`"parent_origin":{"offset_x":100,"offset_y":200,"width":50,"height":70},"root_parent_id":"image","root_parent_origin":{"offset_x":0,"offset_y":0,"width":640,"height":480},` +
			`"keypoints":[{"class_id":0,"class":"nose","confidence":0.5,"x":11.0,"y":21.0}],` + tail},
	} {
		t.Run(name, func(t *testing.T) {
			got := string((&workflow.Encoder{Own: c.own}).AppendDetections(nil, items))
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			if !json.Valid([]byte(got)) {
				t.Error("this is no JSON")
			}
		})
	}
	if got := string((&workflow.Encoder{}).AppendDetections(nil, &workflow.Detections{})); got != `{"image":{"width":null,"height":null},"predictions":[]}` {
		t.Errorf("without detections: %s", got)
	}
}

func TestValuesAreWritten(t *testing.T) {
	f := &workflow.Fields{}
	f.Set("b", workflow.FloatOf(2))
	f.Set("a", workflow.StringOf("é\"\\\n\x01\xff"))
	f.Set("t", workflow.TimeOf(workflowtest.Start().Add(1500)))
	f.Set("bytes", workflow.BytesOf([]byte("hi")))
	f.Set("list", workflow.ListOf([]workflow.Value{{}, workflow.BoolOf(true), workflow.IntOf(-3), workflow.FloatOf(1e-7), workflow.FloatOf(math.Inf(1))}))
	b, err := (&workflow.Encoder{}).Append(nil, workflow.ObjectOf(f))
	const want = `{"b":2.0,"a":"é\"\\\n\u0001�","t":"2026-01-02T03:04:05.000001+00:00","bytes":"aGk=","list":[null,true,-3,1e-07,null]}`
	if err != nil || string(b) != want || !json.Valid(b) {
		t.Errorf("got\n%s, %v\nwant\n%s", b, err, want)
	}
	back, err := workflow.ParseJSON(b)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := back.Fields()
	if !reflect.DeepEqual(o.Keys, []string{"b", "a", "t", "bytes", "list"}) {
		t.Errorf("order of keys: %q", o.Keys)
	}
}

func TestASteadyGraphAllocatesNothing(t *testing.T) {
	h := harness(t, doc([]string{"v=$steps.c.value"},
		`{"type": "test/detections@v1", "name": "d", "image": "$inputs.image"}`,
		`{"type": "test/cropper@v1", "name": "crops", "image": "$inputs.image", "n": 3}`,
		`{"type": "test/pass@v1", "name": "p", "value": "$steps.crops.index", "above": 0, "next_steps": ["$steps.c"]}`,
		`{"type": "test/echo@v1", "name": "c", "value": "$steps.crops.index"}`), workflow.Options{},
		workflowtest.Detections([]workflow.Detection{workflowtest.Det(1, 2, 3, 4, 5, "cat", 0.5, 7)}))
	f := pipeline.Frame(lent2{workflowtest.Picture(64, 48, 9)})
	r := &pipeline.Result{}
	ctx := context.Background()
	one := func() {
		w, err := h.Engine.Begin(ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Finish(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	one()
	if n := testing.AllocsPerRun(100, one); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// lent2 is a frame that allocates nothing.
type lent2 struct{ pic pipeline.Picture }

func (f lent2) Info() pipeline.FrameInfo  { return pipeline.FrameInfo{Seq: 1, Width: 64, Height: 48} }
func (f lent2) Picture() pipeline.Picture { return f.pic }
func (f lent2) Retain() pipeline.Frame    { return f }
func (f lent2) Release()                  {}

func TestWhatIsKeptWithAResult(t *testing.T) {
	frames := [][]workflow.Detection{{workflowtest.Det(1, 2, 3, 4, 5, "cat", 0.5, 7)}}
	for name, c := range map[string]struct {
		outputs []string
		want    string
	}{
		"nothing but detections and images": {[]string{"p=$steps.d.predictions", "i=$inputs.image"}, ""},
		"lists of images without them":      {[]string{"p=$steps.d.predictions", "n=$steps.c.index", "crops=$steps.c.crops", "all=$steps.c.*"}, `{"n":[0,1],"crops":[null,null],"all":{"crops":[null,null],"index":[0,1]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			h := harness(t, doc(c.outputs, `{"type": "test/detections@v1", "name": "d", "image": "$inputs.image"}`, `{"type": "test/cropper@v1", "name": "c", "image": "$inputs.image"}`), workflow.Options{}, workflowtest.Detections(frames...))
			r := h.Blank()
			b, err := r.Outputs.(pipeline.DataKeeper).AppendData(nil)
			if err != nil || string(b) != c.want {
				t.Errorf("kept %q, %v; want %q", b, err, c.want)
			}
		})
	}
}
