package main

import (
	"runtime/debug"
	"strings"
)

// version is set by the linker in a release.
var version = ""

type versionCommand struct{}

// Run prints the version, and what it was built with.
func (versionCommand) Run(w *world) error {
	info, _ := debug.ReadBuildInfo()
	return w.say("ticketgate %s %s", currentVersion(), info.GoVersion)
}

// currentVersion names the release, else the commit that was built.
func currentVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	var revision, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	return strings.TrimSuffix("devel-"+revision+dirty, "-")
}
