package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"perch/cmd/internal/claim"
	"perch/cmd/internal/config"
	"perch/pipeline"
	"perch/storage"
)

// imageCheck is what packaging/debian/image-prepare asks before a system's image is taken.
type imageCheck struct {
	environment string // the service's EnvironmentFile
	units       string // where an administrator changes the service
	claim       bool
}

func newImage(g *globals) *cobra.Command {
	var im imageCheck
	cmd := &cobra.Command{
		Use:    "image",
		Hidden: true, // image-prepare is for people
		Short:  "Print what has to go before this system's image is taken",
		Long: `Reads the configuration as the service does, and refuses when it has something
that each copy of this system would have too: the device's name, a credential.
Else it prints the files and folders of this device's results and identity, each
with a zero byte behind it. It changes nothing.`,
		Args: exactly(0, "nothing more"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := im.load(g)
			if err != nil {
				return err
			}
			if err := im.check(cfg); err != nil {
				return err
			}
			files, err := deviceFiles(string(cfg.DataDir))
			if err != nil {
				return err
			}
			for _, folder := range cfg.WriteFolders() {
				goes := func(file string) bool { return folder == file || strings.HasPrefix(folder, file+"/") }
				if exists(folder) && !slices.ContainsFunc(files, goes) {
					fmt.Fprintf(cmd.ErrOrStderr(), "perch: %s stays, where workflows may write\n", folder)
				}
			}
			for _, file := range files {
				fmt.Fprintf(cmd.OutOrStdout(), "%s\x00", file)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&im.environment, "environment", defaultEnvironment, "`file` of the service's variables")
	f.StringVar(&im.units, "units", "/etc/systemd/system", "`folder` of the administrator's units")
	f.BoolVar(&im.claim, "claim", false, "refuse unless each copy asks for an owner")
	return cmd
}

// load reads the configuration as the service does: with the variables of its
// own file, and none of who runs this.
func (im imageCheck) load(g *globals) (*config.Config, error) {
	environ, err := config.ReadEnvironment(im.environment)
	if err != nil {
		return nil, err
	}
	path := g.config
	if path == "" && exists(defaultConfig) {
		path = defaultConfig
	}
	return config.Load(path, environ)
}

// check refuses what every copy would have, without showing a credential.
func (im imageCheck) check(cfg *config.Config) error {
	if im.claim && !cfg.HTTP.Claim {
		return &pipeline.Error{Op: "prepare image", Kind: pipeline.BadInput, Err: errors.New("http.claim is false")}
	}
	var own []string
	for _, p := range cfg.Own() {
		own = append(own, p.String())
	}
	more, err := im.overrides()
	if err != nil {
		return err
	}
	if own = append(own, more...); len(own) == 0 {
		return nil
	}
	return &pipeline.Error{Op: "prepare image", Kind: pipeline.BadInput, Err: fmt.Errorf("every copy would have this:\n  %s", strings.Join(own, "\n  ")),
		Hint: "take it out, and let each copy's owner write it"}
}

// overrides are lines by which an administrator gives the service variables or
// another configuration, which nobody looks into here.
func (im imageCheck) overrides() (found []string, err error) {
	gives := regexp.MustCompile(`^\s*(EnvironmentFile|ExecStart)\s*=\s*\S|^[^#;]*\b(PERCH|WEBRTC)_`)
	files, err := filepath.Glob(filepath.Join(im.units, "perch.service.d", "*.conf"))
	if err != nil {
		return nil, err
	}
	for _, file := range append(files, filepath.Join(im.units, "perch.service")) {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, &pipeline.Error{Op: "read unit", On: file, Kind: pipeline.BadInput, Err: err}
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			if m := gives.FindString(line); m != "" {
				found = append(found, fmt.Sprintf("%s:%d: %s... may set anything; put variables into %s, where they are looked at", file, n, strings.TrimSpace(m), im.environment))
			}
		}
	}
	return found, nil
}

// deviceFiles are the files and folders of results and identity, in dir and in
// the usual folder, which may have been in use before. Added models stay, and so
// do workflows.
func deviceFiles(dir string) (list []string, err error) {
	usual := string(config.Defaults().DataDir)
	for _, dir := range slices.Compact([]string{dir, usual}) {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, &pipeline.Error{Op: "look at data_dir", On: dir, Kind: pipeline.Storage, Err: err}
		}
		for _, e := range entries {
			// The database has its journals and copies beside it.
			if name := e.Name(); slices.Contains(ownFiles(), name) || strings.HasPrefix(name, storage.FileName) {
				list = append(list, filepath.Join(dir, name))
			}
		}
	}
	return list, nil
}

// ownFiles are the names in data_dir, beside the database's, that belong to one device.
func ownFiles() []string {
	return []string{deviceIDName, claim.FileName, storage.WritersDir, uploadsName, config.WriteFolderName}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
