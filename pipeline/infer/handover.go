package infer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"perch/pipeline"
)

// HandOver gives the owner of the folder dir what root has written there under
// these names, with all that is below them: a service that runs as that user
// could not use it otherwise. Where the folder is root's own, that of the folder
// around it counts, and dir is given away as well. A name that is not there is
// passed over. It does nothing for others than root. It fails with Kind Refused
// where root may not give files away (without CAP_CHOWN, in a container); what
// was written is as good for root itself.
func HandOver(dir string, names ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := handOver(dir, names); err != nil {
		kind := pipeline.Storage
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL) { // the latter for an owner whom the container does not know
			kind = pipeline.Refused
		}
		return &pipeline.Error{Op: "give files to the owner of " + filepath.Dir(dir), On: dir, Kind: kind, Err: err, Hint: chownHint(dir)}
	}
	return nil
}

// give is HandOver for files that are of use also where they cannot be given
// away; whoever opened the model has said so then, see opening.giveAway.
func (c engines) give(names ...string) error {
	err := HandOver(c.dir, names...)
	if pipeline.KindOf(err) == pipeline.Refused {
		return nil
	}
	return err
}

// giveAway gives away what is in the cache already. That it cannot is said once.
func (op *opening) giveAway(names ...string) {
	if err := HandOver(op.o.EngineCacheDir, names...); err != nil {
		op.rt.kept.Do(func() {
			op.o.Log.Warn("files of engines stay root's; a service that runs as another user cannot use them", "model", op.name, "error", err)
		})
	}
}

func chownHint(dir string) string {
	return "give them to the user that the service runs as: sudo chown -R USER: " + dir
}

func handOver(dir string, names []string) error {
	// Names are looked up below the folder itself, never over a link that leads
	// out of it: its owner must not get other files of root by this.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	uid, gid, err := ownerOf(root)
	if err != nil {
		return err
	}
	if uid == 0 {
		around, err := os.OpenRoot(filepath.Dir(dir))
		if err != nil {
			return err
		}
		defer around.Close()
		if uid, gid, err = ownerOf(around); err != nil || uid == 0 {
			return err
		}
		if err := around.Lchown(filepath.Base(dir), uid, gid); err != nil {
			return err
		}
	}
	for _, name := range names {
		err := fs.WalkDir(root.FS(), name, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return root.Lchown(path, uid, gid)
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func ownerOf(root *os.Root) (uid, gid int, err error) {
	info, err := root.Stat(".")
	if err != nil {
		return 0, 0, err
	}
	st := info.Sys().(*syscall.Stat_t) // which it is on Linux
	return int(st.Uid), int(st.Gid), nil
}
