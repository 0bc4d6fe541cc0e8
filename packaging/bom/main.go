// Command bom says what a package of Perch is made of: the copyright file, with
// the licence of everything that is inside, and the bill of materials as
// CycloneDX. It reads the modules from the program itself, so that nothing is
// listed that is not linked, and nothing left out that is.
//
//	go run ./packaging/bom -program dist/perch-arm64 -arch arm64 -version 1.0 -copyright FILE -sbom FILE
//
// It runs offline: the modules' folders are in Go's module cache after a build.
package main

import (
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bom:", err)
		os.Exit(1)
	}
}

func run(args []string, stderr io.Writer) error {
	f := flag.NewFlagSet("bom", flag.ContinueOnError)
	f.SetOutput(stderr)
	program := f.String("program", "", "the built `file`")
	arch := f.String("arch", "", "amd64 or arm64")
	version := f.String("version", "", "the package's version")
	extras := f.String("extras", "packaging/extras.json", "`file` that lists what is inside and is no Go module")
	copyright := f.String("copyright", "", "write the copyright `file` here")
	sbom := f.String("sbom", "", "write the bill of materials `file` here")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *program == "" || *arch == "" || *version == "" || *copyright == "" || *sbom == "" {
		return errors.New("-program, -arch, -version, -copyright and -sbom are all needed")
	}
	info, err := buildinfo.ReadFile(*program)
	if err != nil {
		return err
	}
	parts, err := modules(info)
	if err != nil {
		return err
	}
	more, err := readExtras(*extras, *arch)
	if err != nil {
		return err
	}
	parts = append(parts, more...)
	text, err := copyrightFile(*version, *arch, parts)
	if err != nil {
		return err
	}
	bill, err := cycloneDX(*version, *arch, parts)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(*copyright, text, 0o644), os.WriteFile(*sbom, bill, 0o644))
}
