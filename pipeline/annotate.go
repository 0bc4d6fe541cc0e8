package pipeline

// An Annotator is a [Viewer] that writes each frame, with what was found on
// it, to a file. It holds the run back while the encoder is behind.
type Annotator struct {
	Drawer Drawer
	// Open is called with the first frame, whose size it needs.
	Open func(width, height int) (VideoWriter, error)

	out    VideoWriter
	canvas Picture
}

// Show implements [Viewer].
func (a *Annotator) Show(f Frame, r *Result) error {
	if a.out == nil {
		out, err := a.Open(f.Info().Width, f.Info().Height)
		if err != nil {
			return err
		}
		a.out = out
	}
	a.canvas = CopyPicture(a.canvas, f.Picture(), 1)
	a.Drawer.Draw(a.canvas, r)
	return a.out.Write(a.canvas, f.Info().PTS)
}

// Close finishes the file. Without a frame there is none.
func (a *Annotator) Close() error {
	if a.out == nil {
		return nil
	}
	return a.out.Close()
}
