package blocks

import (
	"errors"

	"perch/pipeline"
	"perch/pipeline/workflow"
)

// rect is a rectangle in pixels, x1 and y1 exclusive.
type rect struct{ x0, y0, x1, y1 int }

func (r rect) clip(w, h int) rect {
	return rect{max(r.x0, 0), max(r.y0, 0), min(r.x1, w), min(r.y1, h)}
}

func (r rect) empty() bool { return r.x0 >= r.x1 || r.y0 >= r.y1 }

// crop copies a rectangle that lies within an image.
func crop(c *workflow.Call, img *workflow.Image, r rect, name string) *workflow.Image {
	w, h := r.x1-r.x0, r.y1-r.y0
	o := img.Origin
	o.Name, o.X, o.Y, o.Width, o.Height = name, o.X+r.x0, o.Y+r.y0, w, h
	out := c.NewImage(o, w, h, img.Picture)
	copyRect(out.Picture, img.Picture, r)
	return out
}

// copyRect copies the rectangle r of src into dst, I420 of its size. Chroma has
// half the resolution: at an odd corner the sample that the corner lies in is
// the first one.
func copyRect(dst, src pipeline.Picture, r rect) {
	w, h := r.x1-r.x0, r.y1-r.y0
	for y := range h {
		at := (r.y0+y)*src.Strides[0] + r.x0
		copy(dst.Planes[0][y*dst.Strides[0]:][:w], src.Planes[0][at:at+w])
	}
	cw, ch := (w+1)/2, (h+1)/2
	sw, sh := (src.Width+1)/2, (src.Height+1)/2
	for y := range ch {
		sy := min(r.y0/2+y, sh-1)
		du, dv := dst.Planes[1][y*dst.Strides[1]:][:cw], dst.Planes[2][y*dst.Strides[2]:][:cw]
		for x := range cw {
			sx := min(r.x0/2+x, sw-1)
			if src.Format == pipeline.NV12 {
				du[x], dv[x] = src.Planes[1][sy*src.Strides[1]+2*sx], src.Planes[1][sy*src.Strides[1]+2*sx+1]
			} else {
				du[x], dv[x] = src.Planes[1][sy*src.Strides[1]+sx], src.Planes[2][sy*src.Strides[2]+sx]
			}
		}
	}
}

// oncePerFrame is an error for a step that remembers what was on the frame
// before, and is given several crops of one frame.
func oncePerFrame(c *workflow.Call) error {
	if c.Index() > 0 {
		return errors.New("it compares a frame with those before, and was given several crops of one frame: put it before the crop")
	}
	return nil
}
