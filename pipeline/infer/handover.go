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
// passed over. It does nothing for others than root.
func HandOver(dir string, names ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := handOver(dir, names); err != nil {
		return &pipeline.Error{Op: "give files to the owner of " + filepath.Dir(dir), On: dir, Kind: pipeline.Storage, Err: err,
			Hint: chownHint(dir)}
	}
	return nil
}

func chownHint(dir string) string {
	return "if the service runs as perch: sudo chown -R perch:perch " + dir
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
