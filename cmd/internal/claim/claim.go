// Package claim keeps whose a device is: the name that its owner gave it and
// what proves the owner. A device that was made from an image belongs to nobody
// until somebody claims it.
package claim

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"perch/pipeline"
)

// FileName is the name of the file inside the data folder.
const FileName = "claim.json"

const schema = "perch.claim/1"

// maxName is the longest name of a device, in characters.
const maxName = 64

// file is claim.json. The token itself is nowhere: it is random and long, so its
// digest needs no salt.
type file struct {
	Schema  string    `json:"schema"`
	Name    string    `json:"name"`
	SHA256  string    `json:"token_sha256"`
	Claimed time.Time `json:"claimed_at"`
}

// A Claim is whose this device is. Its methods may be called from any goroutine.
type Claim struct {
	path string

	mu sync.Mutex
	is *file // guarded by mu; nil until the device is claimed
}

// Open reads the claim in the data folder dir. A file that cannot be read is an
// error of Kind Storage: a device must not belong to nobody because of it.
func Open(dir string) (*Claim, error) {
	c := &Claim{path: filepath.Join(dir, FileName)}
	text, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	var f file
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err == nil && (f.Schema != schema || len(f.SHA256) != 2*sha256.Size) {
		err = errors.New("it is not a claim of this version")
	}
	if err != nil {
		return nil, &pipeline.Error{Op: "read claim", On: c.path, Kind: pipeline.Storage, Err: err,
			Hint: "sudo perch claim reset lets the device be claimed again"}
	}
	c.is = &f
	return c, nil
}

// Owner returns the device's name and whether it was claimed.
func (c *Claim) Owner() (name string, claimed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is == nil {
		return "", false
	}
	return c.is.Name, true
}

// Take claims the device under a name, which may be empty, and returns the token
// that proves the owner from now on; it is not kept and cannot be had again.
// Errors: Refused when the device was claimed before, BadInput, Storage.
func (c *Claim) Take(name string) (token string, err error) {
	name = strings.TrimSpace(name)
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxName || strings.ContainsFunc(name, unicode.IsControl) {
		return "", &pipeline.Error{Op: "claim device", Kind: pipeline.BadInput, Err: fmt.Errorf("a name is one line of at most %d characters", maxName)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is != nil {
		return "", &pipeline.Error{Op: "claim device", Kind: pipeline.Refused, Err: errors.New("it was claimed before"),
			Hint: "sign in with its token; if that is lost, sudo perch claim reset on the device"}
	}
	token = rand.Text()
	f := &file{Schema: schema, Name: name, SHA256: digest(token), Claimed: time.Now().UTC()}
	if err := c.write(f); err != nil {
		return "", &pipeline.Error{Op: "keep claim", On: c.path, Kind: pipeline.Storage, Err: err}
	}
	c.is = f
	return token, nil
}

// Allows reports whether token is the owner's.
func (c *Claim) Allows(token string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.is != nil && subtle.ConstantTimeCompare([]byte(digest(token)), []byte(c.is.SHA256)) == 1
}

// Reset lets the device in the data folder dir be claimed again; false when
// nobody had claimed it. A running Perch has to be started anew.
func Reset(dir string) (was bool, err error) {
	path := filepath.Join(dir, FileName)
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, &pipeline.Error{Op: "reset claim", On: path, Kind: pipeline.Storage, Err: err}
	}
	return true, nil
}

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// write leaves a whole file or none, whatever happens to the power.
func (c *Claim) write(f *file) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(c.path), ".claim-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails when it has been renamed
	_, err = tmp.Write(append(text, '\n'))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), c.path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(c.path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
