package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
)

func TestIdentify(t *testing.T) {
	for text, want := range map[string]string{
		"                   GNU LESSER GENERAL PUBLIC LICENSE\n                       Version 2.1, February 1999": "LGPL-2.1-only",
		"GNU LESSER GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007":                                             "LGPL-3.0-only",
		"MIT License\n\nPermission is hereby granted, free of charge, to any\nperson obtaining a copy":            "MIT",
		"Redistribution and use in source and binary forms, ... Neither the name of Google":                       "BSD-3-Clause",
		"Redistribution and use in source and\nbinary forms, with or without":                                     "BSD-2-Clause",
		"Apache License\n   Version 2.0, January 2004":                                                            "Apache-2.0",
		"GNU GENERAL PUBLIC LICENSE Version 3":                                                                    "",
		"All rights reserved.":                                                                                    "",
	} {
		if got := identify(text); got != want {
			t.Errorf("identify(%.40q) = %q, want %q", text, got, want)
		}
	}
}

func TestCopyrightLines(t *testing.T) {
	text := "The MIT License\n\nCopyright (c) 2014 A. Person\n  Copyright 2016-2019 Someone\nCopyright [yyyy] [name]\ncopyright notice that is\n"
	got := strings.Join(copyrightLines(text), "|")
	if want := "Copyright (c) 2014 A. Person|Copyright 2016-2019 Someone"; got != want {
		t.Errorf("found %q, want %q", got, want)
	}
}

// The test's own program stands for Perch: the whole way, with real modules.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	source := filepath.Join(dir, "main.go")
	write(t, source, "package main\n\nimport _ \"github.com/spf13/cobra\"\n\nfunc main() {}\n")
	build := exec.Command("go", "build", "-o", program, source)
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	write(t, filepath.Join(dir, "LICENCE.txt"), "Copyright 2020 Maker\n\nPermission is hereby granted, free of charge, to any person obtaining a copy")
	extras := filepath.Join(dir, "extras.json")
	write(t, extras, `[
		{"name": "thing", "version": "3", "kind": "file", "files": "usr/lib/thing", "texts": ["LICENCE.txt"], "sha256": "00ff"},
		{"name": "other", "version": "4", "kind": "file", "arch": "arm64", "texts": ["LICENCE.txt"]}]`)
	args := func(copyright, sbom string) []string {
		return []string{"-program", program, "-arch", "amd64", "-version", "1.0+x", "-extras", extras,
			"-copyright", filepath.Join(dir, copyright), "-sbom", filepath.Join(dir, sbom)}
	}
	for _, n := range []string{"1", "2"} {
		if err := run(args("copyright"+n, "sbom"+n), os.Stderr); err != nil {
			t.Fatal(err)
		}
	}
	copyright := read(t, filepath.Join(dir, "copyright1"))
	for _, want := range []string{"Comment: github.com/spf13/cobra v1.", "Comment: github.com/spf13/pflag v1.", "Copyright: Copyright 2020 Maker",
		"Files: usr/lib/thing\n", "Comment: Go standard library 1.", "License: Apache-2.0-part-"} {
		if !strings.Contains(copyright, want) {
			t.Errorf("the copyright file lacks %q", want)
		}
	}
	// A field goes on only in lines that begin with a blank.
	if bad := regexp.MustCompile(`(?m)^[^ A-Z\n].*$`).FindString(copyright); bad != "" {
		t.Errorf("the copyright file has a line that belongs to no field: %q", bad)
	}
	var bill struct {
		BomFormat, SpecVersion, SerialNumber string
		Components                           []component
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "sbom1"))), &bill); err != nil {
		t.Fatal(err)
	}
	names := map[string]component{}
	for _, c := range bill.Components {
		names[c.Name] = c
	}
	if c := names["thing"]; c.Version != "3" || len(c.Hashes) != 1 || c.Licences[0].Expression != "MIT" {
		t.Errorf("thing is %+v", c)
	}
	if c := names["github.com/spf13/cobra"]; !strings.HasPrefix(c.PURL, "pkg:golang/github.com/spf13/cobra@v1.") {
		t.Errorf("cobra is %+v", c)
	}
	if _, ok := names["other"]; ok || len(names) != len(bill.Components) {
		t.Errorf("a part of another architecture, or one part twice: %v", names)
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(bill.SerialNumber) {
		t.Errorf("serial number %q", bill.SerialNumber)
	}
	if strings.Contains(copyright, "TERMS AND CONDITIONS FOR USE, REPRODUCTION") || !strings.Contains(copyright, " Apache License, Version 2.0: see /usr/share/common-licenses/Apache-2.0.\n") {
		t.Error("the Apache License is repeated instead of named")
	}
	if copyright != read(t, filepath.Join(dir, "copyright2")) || read(t, filepath.Join(dir, "sbom1")) != read(t, filepath.Join(dir, "sbom2")) {
		t.Error("two runs differ")
	}
}

// Whoever changes a module, as the LGPL lets them, gets a package whose papers say so.
func TestChangedModule(t *testing.T) {
	dir := t.TempDir()
	changed, program, mod := filepath.Join(dir, "pflag"), filepath.Join(dir, "program"), filepath.Join(dir, "go.mod")
	write(t, filepath.Join(dir, "main.go"), "package main\n\nimport _ \"github.com/spf13/cobra\"\n\nfunc main() {}\n")
	write(t, mod, read(t, "../../go.mod"))
	write(t, filepath.Join(dir, "go.sum"), read(t, "../../go.sum"))
	goes := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = "../..", append(os.Environ(), "GOFLAGS=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.CopyFS(changed, os.DirFS(goes("list", "-m", "-f", "{{.Dir}}", "github.com/spf13/pflag"))); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(changed, "NOTICE"), "Copyright 2031 Who Changed It")
	goes("mod", "edit", "-replace", "github.com/spf13/pflag="+changed, mod)
	goes("build", "-modfile", mod, "-o", program, filepath.Join(dir, "main.go"))
	extras := filepath.Join(dir, "extras.json")
	write(t, extras, "[]")
	copyright, sbom := filepath.Join(dir, "copyright"), filepath.Join(dir, "sbom")
	if err := run([]string{"-program", program, "-arch", "arm64", "-version", "2.0", "-extras", extras, "-copyright", copyright, "-sbom", sbom}, os.Stderr); err != nil {
		t.Fatal(err)
	}
	text := read(t, copyright)
	for _, want := range []string{"Copyright 2031 Who Changed It", " (changed)\n https://github.com/spf13/pflag\n",
		"cross/build.sh arm64 changed dist/perch-arm64\n", "Source: perch_2.0_source.tar.xz\n", "Comment: github.com/spf13/cobra v1."} {
		if !strings.Contains(text, want) {
			t.Errorf("the copyright file lacks %q", want)
		}
	}
	if bill := read(t, sbom); strings.Contains(bill, "pkg:golang/github.com/spf13/pflag") || !strings.Contains(bill, " (changed)") || strings.Contains(text+bill, dir) {
		t.Error("the bill does not say that the module was changed, or says where it lay")
	}
	other := linked(&debug.Module{Path: "example.org/a", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/fork", Version: "v1.1.0"}})
	if other.Name != "example.org/a" || other.PURL != "pkg:golang/example.org/fork@v1.1.0" || other.Source != "https://example.org/fork" {
		t.Errorf("a fork: %+v", other)
	}
}

func TestVersions(t *testing.T) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("dpkg, which orders versions, is not here")
	}
	last := "0~"
	for _, tag := range []string{"abc1234", "v1.2.2", "v1.2.3-alpha", "v1.2.3-beta2", "v1.2.3-rc1", "v1.2.3-rc1-4-gabc1234", "v1.2.3-rc2", "v1.2.3-rc10", "v1.2.3", "v1.2.3-4-gabc1234", "v1.2.3-11-gabc1234-dirty", "v1.2.4-rc1"} {
		out, err := exec.Command("../version.sh", tag, "1700000000").Output()
		if err != nil {
			t.Fatal(err)
		}
		version := strings.TrimSpace(string(out))
		if err := exec.Command("dpkg", "--compare-versions", version, "gt", last).Run(); err != nil {
			t.Errorf("%s is version %s, which does not come after %s: %v", tag, version, last, err)
		}
		last = version
	}
	if last != "1.2.4~rc1" {
		t.Errorf("v1.2.4-rc1 is version %s", last)
	}
	for tag, want := range map[string]string{
		"v1.2.3-RC1": "1.2.3~rc1", "v1.2.3-Beta2-4-gabc1234": "1.2.3~beta2+4+gabc1234", "v1.2.3/arm_64": "1.2.3.arm.64",
		"release/1.0": "0~git20231114.221320+release.1.0", "release_1.0-4-gabc1234": "0~git20231114.221320+release.1.0.4.gabc1234",
	} {
		out, err := exec.Command("../version.sh", tag, "1700000000").Output()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%s is version %s, want %s: %v", tag, out, want, err)
		}
		if out, err := exec.Command("dpkg", "--validate-version", want).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", want, err, out)
		}
	}
}

// What nobody has read does not go out silently.
func TestUnknownLicenceFails(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "T"), "You may look at this on Sundays.")
	write(t, filepath.Join(dir, "extras.json"), `[{"name": "odd", "texts": ["T"]}]`)
	if _, err := readExtras(filepath.Join(dir, "extras.json"), "amd64"); err == nil || !strings.Contains(err.Error(), "odd has a licence that is not known") {
		t.Errorf("error %v", err)
	}
	write(t, filepath.Join(dir, "extras.json"), `[{"name": "bare"}]`)
	if _, err := readExtras(filepath.Join(dir, "extras.json"), "amd64"); err == nil || !strings.Contains(err.Error(), "bare has no licence file") {
		t.Errorf("error %v", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
