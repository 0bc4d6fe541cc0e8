package pipeline

// An Annotator is a [Viewer] that writes each frame to a file: as the run's
// workflow has drawn it, or else with what was found on it. It holds the run
// back while the encoder is behind.
type Annotator struct {
	Drawer Drawer
	// Open is called with the first picture, whose size it needs.
	Open func(width, height int) (VideoWriter, error)

	out    VideoWriter
	canvas Picture
	output int // of the workflow, from 1: the first that was a picture; 0 while there was none
}

// Show implements [Viewer].
func (a *Annotator) Show(f Frame, r *Result) error {
	pic := a.picture(f, r)
	if a.out == nil {
		out, err := a.Open(pic.Width, pic.Height)
		if err != nil {
			return err
		}
		a.out = out
	}
	return a.out.Write(pic, f.Info().PTS)
}

// picture is what the file shows of a frame. The frame itself stands for a
// drawing that the workflow left out, so that the file keeps its time.
func (a *Annotator) picture(f Frame, r *Result) Picture {
	if r.Outputs != nil {
		for i := 0; a.output == 0 && i < r.Outputs.Len(); i++ {
			if r.Outputs.IsImage(i) {
				a.output = i + 1
			}
		}
		if a.output > 0 {
			if pic, ok := r.Outputs.Image(a.output - 1); ok {
				return pic
			}
			return f.Picture()
		}
	}
	a.canvas = CopyPicture(a.canvas, f.Picture(), 1)
	a.Drawer.Draw(a.canvas, r)
	return a.canvas
}

// Close finishes the file. Without a frame there is none.
func (a *Annotator) Close() error {
	if a.out == nil {
		return nil
	}
	return a.out.Close()
}
