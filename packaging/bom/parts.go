package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// A part is something inside the package that has an author of its own.
type part struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Kind    string   `json:"kind"`    // CycloneDX's component type
	PURL    string   `json:"purl"`    // package URL, "" when there is none
	Source  string   `json:"source"`  // where it comes from, for people
	Files   string   `json:"files"`   // where it is in the package
	Licence string   `json:"licence"` // SPDX
	Arch    string   `json:"arch"`    // "" for every one
	SHA256  string   `json:"sha256"`  // "" when it is not a file
	Texts   []string `json:"texts"`   // files that hold the licence, relative to extras.json

	notice string // the licence files, joined
}

// modules returns the Go modules that are linked into a program, the standard
// library first.
func modules(info *debug.BuildInfo) ([]part, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	std, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "LICENSE"))
	if err != nil {
		return nil, fmt.Errorf("read Go's own licence: %w", err)
	}
	list := []part{{Name: "Go standard library", Version: strings.TrimPrefix(info.GoVersion, "go"), Kind: "library",
		PURL: "pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go"), Source: "https://go.dev", Licence: "BSD-3-Clause", notice: string(std)}}
	if len(info.Deps) == 0 {
		return nil, errors.New("the program lists no modules: was it built with go build?")
	}
	folders, err := moduleFolders(info.Deps)
	if err != nil {
		return nil, err
	}
	for _, m := range info.Deps {
		dir := folders[m.Path]
		if dir == "" {
			return nil, fmt.Errorf("%s is in the program, but not in the module cache: run go mod download", m.Path)
		}
		p := linked(m)
		if err := p.readNotices(licenceFiles(dir)); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// linked describes a module as it was linked. One that was changed has no address
// where others could get the same.
func linked(m *debug.Module) part {
	p := part{Name: m.Path, Version: m.Version, Kind: "library", PURL: "pkg:golang/" + m.Path + "@" + m.Version, Source: "https://" + m.Path}
	switch r := m.Replace; {
	case r == nil:
	case isFolder(r):
		p.Version, p.PURL = m.Version+" (changed)", ""
	default:
		p.Version, p.PURL, p.Source = r.Version, "pkg:golang/"+r.Path+"@"+r.Version, "https://"+r.Path
	}
	return p
}

// isFolder reports whether go.mod puts a folder in a module's place, not another module.
func isFolder(m *debug.Module) bool { return m != nil && modfolder.MatchString(m.Path) }

// modfolder is how a folder in go.mod begins, which no module's path does.
var modfolder = regexp.MustCompile(`^\.{0,2}/`)

// moduleFolders says where the sources of the program's modules are. They are
// asked for by name: a list of "all" wants the module files of the whole graph,
// which a machine that has only built the program does not have.
func moduleFolders(deps []*debug.Module) (map[string]string, error) {
	folders := map[string]string{}
	args := []string{"mod", "download", "-json"}
	was := map[string]string{} // what a module stands for, by its own path
	for _, m := range deps {
		is := m
		if m.Replace != nil {
			is = m.Replace
		}
		if isFolder(m.Replace) {
			folders[m.Path] = is.Path // go run starts this program in the folder of go.mod
			continue
		}
		was[is.Path] = m.Path
		args = append(args, is.Path+"@"+is.Version)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOPROXY=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download of what is in the program: %w: %s", err, out)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var m struct{ Path, Dir string }
		if err := d.Decode(&m); err != nil {
			return nil, err
		}
		folders[was[m.Path]] = m.Dir
	}
	return folders, nil
}

var licenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([-.].*)?$`)

// licenceFiles lists what stands at the top of a module, in a fixed order.
func licenceFiles(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // readNotices reports that there are none
	}
	var files []string
	for _, e := range entries {
		if e.Type().IsRegular() && licenceName.MatchString(e.Name()) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(files)
	return files
}

// readNotices reads the licence files and finds out which licence it is, if
// that is not known yet.
func (p *part) readNotices(files []string) error {
	var all []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		all = append(all, strings.TrimSpace(strings.ReplaceAll(string(b), "\r\n", "\n")))
	}
	if len(all) == 0 {
		return fmt.Errorf("%s has no licence file", p.Name)
	}
	p.notice = strings.Join(all, "\n\n")
	defer func() { p.notice = shorten(p.notice) }()
	if p.Licence == "" {
		p.Licence = identify(p.notice)
	}
	if p.Licence == "" {
		return fmt.Errorf("%s has a licence that is not known here: read it, and teach identify or extras.json", p.Name)
	}
	return nil
}

// identify returns the SPDX name of the licence that a text is, "" if unknown.
func identify(text string) string {
	words := strings.Join(strings.Fields(text), " ")
	has := func(s string) bool { return strings.Contains(words, s) }
	switch {
	case has("GNU LESSER GENERAL PUBLIC LICENSE Version 2.1"):
		return "LGPL-2.1-only"
	case has("GNU LESSER GENERAL PUBLIC LICENSE Version 3"):
		return "LGPL-3.0-only"
	case has("GNU GENERAL PUBLIC LICENSE"), has("GNU AFFERO"):
		return "" // not in a package of ours without a person's look
	case (has("Apache License Version 2.0") || has("Apache License, Version 2.0")) && has("Permission is hereby granted, free of charge"):
		return "MIT AND Apache-2.0"
	case has("Apache License Version 2.0"), has("Apache License, Version 2.0"):
		return "Apache-2.0"
	case has("Mozilla Public License Version 2.0"), has("Mozilla Public License, version 2.0"):
		return "MPL-2.0"
	case has("Eclipse Public License - v 2.0") && has("Eclipse Distribution License"):
		return "EPL-2.0 OR BSD-3-Clause"
	case has("SIL OPEN FONT LICENSE Version 1.1"):
		return "OFL-1.1"
	case has("Permission is hereby granted, free of charge, to any person obtaining a copy"):
		return "MIT"
	case has("Permission to use, copy, modify, and/or distribute this software for any purpose"):
		return "ISC"
	case has("Redistribution and use in source and binary forms") && (has("Neither the name") || has("names of its contributors may")):
		return "BSD-3-Clause"
	case has("Redistribution and use in source and binary forms"):
		return "BSD-2-Clause"
	}
	return ""
}

// readExtras reads what is in the package and is no Go module.
func readExtras(path, arch string) ([]part, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all, list []part
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, p := range all {
		if p.Arch != "" && p.Arch != arch {
			continue
		}
		var files []string
		for _, t := range p.Texts {
			files = append(files, filepath.Join(filepath.Dir(path), t))
		}
		if err := p.readNotices(files); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}
