package visual

import (
	"fmt"

	"perch/pipeline"
	"perch/pipeline/draw"
	"perch/pipeline/workflow"
)

// maxEdges bounds a skeleton.
const maxEdges = 1000

func keypoint() *workflow.Manifest {
	m := manifest("keypoint_visualization@v1", "KeypointVisualization", "Keypoint Visualization", "Draws detections' key points, the edges between them, or their names.",
		predictions(workflow.KeypointsKind),
		workflow.Field{
			Name: "annotator_type", Literal: workflow.EnumLiteral, Enum: []string{"edge", "vertex", "vertex_label"}, Default: workflow.StringOf("edge"),
			Doc: "what is drawn: lines between points, dots, or the points' names",
		},
		colourField("color", "#A351FB", "colour of lines, dots and plates"),
		colourField("text_color", "black", "colour of the names"),
		scale("text_scale", 0.5),
		bold("text_thickness", 1),
		pixels("text_padding", 10, "space between a name and the sides of its plate"),
		thickness("thickness", 2, "width of the lines"),
		pixels("radius", 10, "of the dots, and of the corners of the names' plates"),
		workflow.Field{
			Name: "edges", Kinds: []workflow.Kind{workflow.ListKind}, Literal: workflow.AnyLiteral,
			Doc: "which points are joined, [[1, 2], ...], counted from 1; without it 17 points are taken for a person as COCO has them, and others stay apart",
		})
	m.New = func(p *workflow.Params) (workflow.Block, error) {
		base, err := newPainter(p)
		if err != nil {
			return nil, err
		}
		b := &keypointBlock{painter: base, predictions: p.In("predictions"), kind: p.In("annotator_type"), thickness: p.In("thickness"), radius: p.In("radius")}
		if b.edges, err = newSetting(p, "edges", parseEdges); err != nil {
			return nil, err
		}
		if b.colour, err = newTint(p, "color"); err != nil {
			return nil, err
		}
		b.plate, err = newPlate(p, "radius")
		return b, err
	}
	return m
}

type keypointBlock struct {
	painter
	plate
	predictions, kind, thickness, radius workflow.In
	colour                               tint
	edges                                setting[[][2]int]
	line                                 [2]pipeline.Point // reused
	buf                                  []byte            // reused
}

// Run implements [workflow.Block].
func (b *keypointBlock) Run(c *workflow.Call) error {
	r := reader{c: c}
	d, kind, colour, edges := r.detections(b.predictions), r.str(b.kind), b.colour.of(&r), b.edges.of(&r)
	thickness, radius, style := r.int(b.thickness), r.int(b.radius), b.style(&r)
	style.Plate = colour
	img := b.canvas(&r)
	if r.err != nil {
		return r.err
	}
	for i := range d.Items {
		points := d.Items[i].Keypoints
		switch kind {
		case "edge":
			b.drawEdges(img.Picture, points, edges, colour, thickness)
		case "vertex":
			for _, k := range points {
				if k.Score > 0 {
					b.Dot(img.Picture, k.Point, float32(radius), colour, 0, colour)
				}
			}
		case "vertex_label":
			b.drawNames(img.Picture, points, d.Keypoints, style)
		}
	}
	return nil
}

func (b *keypointBlock) drawEdges(pic pipeline.Picture, points []pipeline.Keypoint, edges [][2]int, c draw.Colour, thickness int) {
	if edges == nil && len(points) == person {
		edges = skeleton[:]
	}
	for _, e := range edges {
		if e[0] > len(points) || e[1] > len(points) {
			continue // edges of a larger skeleton
		}
		from, to := points[e[0]-1], points[e[1]-1]
		if from.Score > 0 && to.Score > 0 {
			b.line = [2]pipeline.Point{from.Point, to.Point}
			b.Polyline(pic, b.line[:], false, c, thickness)
		}
	}
}

func (b *keypointBlock) drawNames(pic pipeline.Picture, points []pipeline.Keypoint, names []string, style draw.TextStyle) {
	for i, k := range points {
		if k.Score <= 0 {
			continue
		}
		if i < len(names) {
			b.buf = append(b.buf[:0], names[i]...)
		} else {
			b.buf = fmt.Appendf(b.buf[:0], "%d", i)
		}
		w, h := b.Measure(b.buf, style)
		x, y := inside(pic, near(k.X)-w/2, near(k.Y)-h/2, w, h)
		b.Text(pic, x, y, b.buf, style)
	}
}

// person is how many key points COCO has for one.
const person = 17

// skeleton is how COCO joins them (annotations person_keypoints).
var skeleton = [...][2]int{
	{16, 14}, {14, 12}, {17, 15}, {15, 13}, {12, 13}, {6, 12}, {7, 13}, {6, 7}, {6, 8}, {7, 9},
	{8, 10}, {9, 11}, {2, 3}, {1, 2}, {1, 3}, {2, 4}, {3, 5}, {4, 6}, {5, 7},
}

// parseEdges reads pairs of points, which are counted from 1.
func parseEdges(v workflow.Value) ([][2]int, error) {
	if v.IsNull() {
		return nil, nil
	}
	items, ok := v.Items()
	if !ok || len(items) > maxEdges {
		return nil, fmt.Errorf("it is %s and must be a list of at most %d pairs", v.Describe(), maxEdges)
	}
	edges := make([][2]int, len(items))
	for i, item := range items {
		pair, _ := item.Items()
		if len(pair) != 2 {
			return nil, fmt.Errorf("edge %d is %s and must be two numbers of points", i+1, item.Describe())
		}
		for k, end := range pair {
			n, ok := end.Int()
			if !ok || n < 1 || n > maxEdges {
				return nil, fmt.Errorf("edge %d has %s for a point; points are counted from 1", i+1, end.Describe())
			}
			edges[i][k] = int(n)
		}
	}
	return edges, nil
}
