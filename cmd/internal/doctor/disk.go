package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Below these, results soon cannot be kept, or a database cannot even be tidied.
const (
	fewBytes  = 1 << 30
	noBytes   = 64 << 20
	fewInodes = 1000
)

// Space checks how much room the disk of a folder has; key is the folder's key
// in the configuration. A folder that does not exist yet is looked for upwards.
func Space(key, dir string) Check {
	return Check{Name: "space for " + key, Do: func(context.Context) []Finding {
		var st syscall.Statfs_t
		at := dir
		for {
			err := syscall.Statfs(at, &st)
			if err == nil {
				break
			}
			if up := filepath.Dir(at); errors.Is(err, fs.ErrNotExist) && up != at {
				at = up
				continue
			}
			return missing(fmt.Sprintf("%s: %v", at, err), "mount it, or set "+key+" to another folder")
		}
		return space(key, dir, st.Bavail*uint64(st.Bsize), st.Blocks*uint64(st.Bsize), st.Ffree, st.Files)
	}}
}

// space judges the figures of a file system. Some, btrfs for one, count no inodes.
func space(key, dir string, free, total, freeInodes, inodes uint64) []Finding {
	found := fmt.Sprintf("%s free of %s at %s", sizeText(free), sizeText(total), dir)
	hint := "make room, set storage.max_size lower, or set " + key + " to a larger disk; to see what is large: sudo du -xh " + dir + " | sort -h | tail"
	switch {
	case free < noBytes:
		return missing(found, hint)
	case inodes > 0 && freeInodes < fewInodes:
		return missing(fmt.Sprintf("%s, but only %d more files", found, freeInodes), "remove small files; to count them: df -i "+dir)
	case free < fewBytes:
		return warning(found, hint)
	}
	return good("%s", found)
}

// sizeText is a size as people read it.
func sizeText(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// Writable checks by writing that files can be kept in a folder. It makes no
// folder, because a service started later by another user could not use it.
func Writable(key, dir string) Check {
	return Check{Name: key, Do: func(context.Context) []Finding {
		err := tryWrite(dir)
		create := fmt.Sprintf("sudo install -d -o %[1]s -g %[1]s -m 0750 %[2]s", userName(), dir)
		switch {
		case err == nil:
			return good("%s can be written to", dir)
		case errors.Is(err, fs.ErrNotExist):
			if creatable(dir) {
				return good("%s does not exist yet and will be made", dir)
			}
			return missing(dir+" does not exist and cannot be made", create)
		case errors.Is(err, syscall.ENOTDIR):
			return missing(dir+" is or lies in a file, not a folder", "set "+key+" to another folder")
		case errors.Is(err, syscall.EROFS):
			return missing(dir+" is on a read-only disk", "sudo mount -o remount,rw "+mountHint(dir)+"; a disk turns read-only when it is failing, so see: sudo dmesg | grep -i 'error\\|remount'")
		case errors.Is(err, fs.ErrPermission):
			return missing(fmt.Sprintf("%s cannot be written to by %s", dir, userName()), "run perch doctor as the service's user: sudo -u perch perch doctor; or: "+create)
		case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
			return missing(dir+" is full", "make room, or set "+key+" to a larger disk")
		}
		return missing(fmt.Sprintf("%s cannot be written to: %v", dir, err), "see: sudo dmesg | tail")
	}}
}

func mountHint(dir string) string { return "$(findmnt -no TARGET -T " + dir + ")" }

// tryWrite writes a file as durably as results are, and removes it.
func tryWrite(dir string) (err error) {
	f, err := os.CreateTemp(dir, ".perch-doctor-*")
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}()
	if _, err := f.WriteString("perch doctor\n"); err != nil {
		return err
	}
	return f.Sync()
}

// creatable reports whether the nearest folder above dir that exists may be
// written to by this user.
func creatable(dir string) bool {
	for up := filepath.Dir(dir); ; up = filepath.Dir(up) {
		if info, err := os.Stat(up); err == nil {
			return info.IsDir() && syscall.Access(up, 0x2|0x1) == nil // W_OK, X_OK
		}
		if up == filepath.Dir(up) {
			return false
		}
	}
}
