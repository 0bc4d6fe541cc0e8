package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"perch/pipeline"
)

// maxSecretSize bounds a password file.
const maxSecretSize = 4 << 10

// Defaults returns the configuration of an empty file.
func Defaults() *Config {
	c := &Config{Cameras: map[string]*Camera{}, origin: map[string]origin{}}
	setDefaults(reflect.ValueOf(c).Elem())
	return c
}

// Load reads the file at path, applies environ (as [os.Environ] returns it),
// reads the password files and checks the whole. With path "" there is no file.
// The error is a [*pipeline.Error]: Kind NotFound when there is no such file,
// else BadConfig, around an [*Invalid] when the file could be read.
func Load(path string, environ []string) (*Config, error) {
	var data []byte
	if path != "" {
		var err error
		if data, err = readFile(path); err != nil {
			return nil, err
		}
	}
	c, r := parse(path, data, environ)
	c.readSecrets(r)
	if err := r.err(); err != nil {
		return nil, bad(err)
	}
	return c, nil
}

// Parse is [Load] for a file whose content is data; it reads no other file.
// Name is what messages call it; relative paths start at its folder.
func Parse(name string, data []byte, environ []string) (*Config, error) {
	c, r := parse(name, data, environ)
	if err := r.err(); err != nil {
		return nil, bad(err)
	}
	return c, nil
}

func bad(err error) error {
	return &pipeline.Error{Op: "read configuration", Kind: pipeline.BadConfig, Err: err}
}

func parse(name string, data []byte, environ []string) (*Config, *report) {
	c := Defaults()
	r := &report{file: name, origin: c.origin}
	if n := parseYAML(r, data); n != nil && n.kind != null {
		decode(r, "", n, reflect.ValueOf(c).Elem())
		delete(r.origin, "")
	}
	c.resolve(r, filepath.Dir(name))
	applyEnvironment(r, c, environ)
	c.resolve(r, ".")
	c.splitURLs(r)
	c.file = name

	// Every mistake is reported, but each place only once: a value that could
	// not be read need not also be called absent.
	known := map[string]bool{}
	for _, p := range r.problems {
		known[p.Path] = true
	}
	checks := &report{file: name, origin: c.origin}
	c.validate(checks)
	for _, p := range checks.problems {
		if !known[p.Path] {
			r.problems = append(r.problems, p)
		}
	}
	return c, r
}

// Validate checks every value again and returns nil or an error of Kind
// BadConfig around an [*Invalid] with all mistakes. Load has done so already;
// it is for callers that have changed something.
func (c *Config) Validate() error {
	r := &report{file: c.file, origin: c.origin}
	if r.origin == nil {
		r.origin = map[string]origin{}
	}
	c.validate(r)
	if err := r.err(); err != nil {
		return bad(err)
	}
	return nil
}

// CameraNames returns the names of all cameras, sorted.
func (c *Config) CameraNames() []string {
	return slices.Sorted(maps.Keys(c.Cameras))
}

// YAML returns the whole configuration as a file would say it, every default
// included and every credential hidden.
func (c *Config) YAML() ([]byte, error) { return EncodeYAML(c) }

// Credentials returns who to be at the broker.
func (m MQTT) Credentials() (username string, password Secret) {
	return m.Username, m.Password + m.FromFile // validate allows only one of them
}

// Credentials returns who to be at the camera.
func (c Camera) Credentials() (username string, password Secret) {
	return c.Username, c.Password + c.FromFile // validate allows only one of them
}

// resolve makes the paths that are still relative start at dir.
func (c *Config) resolve(r *report, dir string) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		r.add(origin{}, "", "relative paths cannot be resolved: %v", err)
		return
	}
	walkValues("", reflect.ValueOf(c).Elem(), "", func(_ string, v reflect.Value, _ reflect.StructTag) {
		switch v.Type() {
		case reflect.TypeFor[Path]():
			v.SetString(string(Path(v.String()).under(dir)))
		case reflect.TypeFor[[]Path]():
			for i := range v.Len() {
				v.Index(i).SetString(string(Path(v.Index(i).String()).under(dir)))
			}
		}
	})
	for _, cam := range c.Cameras {
		if isWorkflowPath(cam.Workflow) {
			cam.Workflow = string(Path(cam.Workflow).under(dir))
		}
		if kind, where := cam.URL.Source(); kind == pipeline.SourceFile && where != "" {
			cam.URL = URL(Path(where).under(dir))
		}
	}
}

// splitURLs takes the credentials out of all URLs, so that nothing that prints
// a URL later can show them.
func (c *Config) splitURLs(r *report) {
	split := func(path string, u *URL, user *string, password *Secret) {
		rest, name, secret, err := splitCredentials(*u)
		switch {
		case err != nil:
			r.bad(path+".url", "%v", err)
			*u = "" // a part of the password is where it cannot be told from the rest
		case name == "" && secret == "":
		case *user != "" || *password != "":
			r.bad(path+".url", "has a user in it, and %s.username or %s.password is set too; write it once", path, path)
		default:
			*user, *password = name, secret
		}
		if err == nil {
			*u = rest
		}
	}
	split("mqtt", &c.MQTT.URL, &c.MQTT.Username, &c.MQTT.Password)
	for name, cam := range c.Cameras {
		split("cameras."+name, &cam.URL, &cam.Username, &cam.Password)
	}
}

// readSecrets reads the password files.
func (c *Config) readSecrets(r *report) {
	read := func(path string, file Path) Secret {
		if file == "" {
			return ""
		}
		data, err := readBounded(string(file), maxSecretSize)
		if err != nil {
			r.bad(path, "%v", err)
			return ""
		}
		line, _, _ := bytes.Cut(data, []byte("\n"))
		secret := Secret(strings.TrimSuffix(string(line), "\r"))
		if secret == "" {
			r.bad(path, "%s: its first line is empty; write the password there", file)
		}
		return secret
	}
	c.MQTT.FromFile = read("mqtt.password_file", c.MQTT.PasswordFile)
	c.SMTP.FromFile = read("smtp.password_file", c.SMTP.PasswordFile)
	for name, cam := range c.Cameras {
		cam.FromFile = read("cameras."+name+".password_file", cam.PasswordFile)
	}
}

// readFile reads the configuration file itself.
func readFile(path string) ([]byte, error) {
	data, err := readBounded(path, MaxFileSize)
	if err == nil {
		return data, nil
	}
	e := &pipeline.Error{Op: "read configuration", On: path, Kind: pipeline.BadConfig, Err: err}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		e.Err = pe.Err // without the path, which On has
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Kind = pipeline.NotFound
		e.Hint = "name another with --config, or begin with the sample that came with Perch"
		if target, lerr := os.Readlink(path); lerr == nil {
			e.Hint = "it is a symbolic link to " + target + ", which does not exist"
		}
	case errors.Is(err, fs.ErrPermission):
		e.Hint = "run perch as a user that may read it, for example sudo -u perch perch check"
	}
	return nil, e
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a folder, not a file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %v", path, ByteSize(limit))
	}
	return data, nil
}
