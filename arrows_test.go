// Package ticketgate has no code of its own: its test holds the rooms of the house and
// the direction of their dependencies.
package ticketgate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// module is the path that go.mod gives.
const module = "ticketgate"

// rooms are the top-level folders that may hold Go code, each with the rooms that it may
// import from. A room may always import from itself.
var rooms = map[string][]string{
	"cmd":       {"gateway", "threading", "outbound", "store"},
	"gateway":   {"threading", "outbound", "store"},
	"threading": {"store"},
	"outbound":  {"store"},
	"store":     {},
	"deploy":    {}, // tools and test servers: they reach the daemon from outside
}

// endToEnd is the room whose tests put the whole house together, and so see all of it.
const endToEnd = "deploy"

// pure is open to every room, and imports nothing of ours.
const pure = module + "/threading/message"

// outside are the packages through which the pure one would reach the world, a clock's
// aside: a package that reads dates needs time, and can't be held here.
var outside = []string{"os", "os/exec", "net", "net/http", "syscall", "crypto/rand", "math/rand", "math/rand/v2"}

// testbed is open to the tests of every room, and to no other code.
const testbed = module + "/deploy/testbed"

// nameless are the package names that say nothing of what is in them.
var nameless = []string{"util", "utils", "common", "models", "helpers"}

// house is what the check looks at: each of our packages with the packages that its code
// imports, and those that only its tests do.
type house map[string]struct{ code, tests []string }

// faults lists every package and import that stands wrong, sorted.
func faults(h house) []string {
	var found []string
	for _, from := range slices.Sorted(maps.Keys(h)) {
		found = append(found, misplaced(from)...)
		for _, to := range h[from].code {
			if to == testbed {
				found = append(found, fmt.Sprintf("%s imports %s outside its tests", from, to))
			} else if !allowed(from, to) || from == pure && slices.Contains(outside, to) {
				found = append(found, fmt.Sprintf("%s must not import %s", from, to))
			}
		}
		for _, to := range h[from].tests {
			if to != testbed && room(from) != endToEnd && !allowed(from, to) {
				found = append(found, fmt.Sprintf("the tests of %s must not import %s", from, to))
			}
		}
	}
	return found
}

// misplaced complains of a package outside the rooms, or without a telling name.
func misplaced(pkg string) []string {
	var found []string
	if _, ok := rooms[room(pkg)]; !ok {
		found = append(found, fmt.Sprintf("%s is in none of the rooms", pkg))
	}
	if slices.Contains(nameless, path.Base(pkg)) {
		found = append(found, fmt.Sprintf("%s: the name tells nothing", pkg))
	}
	return found
}

func allowed(from, to string) bool {
	switch {
	case to != module && !strings.HasPrefix(to, module+"/"):
		return true // not ours
	case from == pure:
		return to == pure
	case to == pure, room(from) == room(to):
		return true
	}
	return slices.Contains(rooms[room(from)], room(to))
}

// room is the top-level folder of a package of ours, "." for the module's root.
func room(pkg string) string {
	inside := strings.TrimPrefix(strings.TrimPrefix(pkg, module), "/")
	if inside == "" {
		return "."
	}
	first, _, _ := strings.Cut(inside, "/")
	return first
}

func TestArrowsRunOneWay(t *testing.T) {
	h := listHouse(t)
	delete(h, module) // this test
	if len(h) < 3 {
		t.Fatalf("go list finds only %d packages", len(h))
	}
	for _, fault := range faults(h) {
		t.Error(fault)
	}
}

// TestTheCheckSeesWrongArrows holds the check itself: a check that can't fail is none.
func TestTheCheckSeesWrongArrows(t *testing.T) {
	for _, test := range []struct {
		from, to string
		code     bool // allowed in code
		tests    bool // allowed in tests
	}{
		{"cmd/ticketgate", "gateway/gateway", true, true},
		{"cmd/ticketgate", "store/sqlite", true, true},
		{"gateway/api", "threading", true, true},
		{"gateway/api", "outbound", true, true},
		{"gateway/lmtp", "gateway/verify", true, true},
		{"threading", "store", true, true},
		{"threading", "threading/message", true, true},
		{"outbound", "store", true, true},
		{"outbound", "threading/message", true, true},
		{"store", "threading/message", true, true},
		{"deploy/bench", "threading/message", true, true},
		{"store/postgres", "deploy/testbed", false, true},
		{"deploy/e2e", "gateway/gateway", false, true},

		{"threading", "outbound", false, false},
		{"outbound", "threading", false, false},
		{"store", "threading", false, false},
		{"store/sqlite", "outbound", false, false},
		{"threading", "gateway/verify", false, false},
		{"outbound", "gateway/verify", false, false},
		{"store", "gateway/gateway", false, false},
		{"gateway/gateway", "cmd/ticketgate", false, false},
		{"threading/message", "store", false, false},
		{"threading/message", "threading", false, false},
		{"threading", "deploy/bench", false, false},
	} {
		from, to := module+"/"+test.from, module+"/"+test.to
		inCode := faults(house{from: {code: []string{to}}})
		if (len(inCode) == 0) != test.code {
			t.Errorf("%s -> %s in code: %v", test.from, test.to, inCode)
		}
		inTests := faults(house{from: {tests: []string{to}}})
		if (len(inTests) == 0) != test.tests {
			t.Errorf("%s -> %s in tests: %v", test.from, test.to, inTests)
		}
	}
	if got := faults(house{pure: {code: []string{"io", "os"}}}); len(got) != 1 {
		t.Errorf("the pure package opens files: %v", got)
	}
	for _, name := range []string{
		"", "/pkg/mail", "/internal", "/store/util", "/threading/common", "/gateway/models", "/outbound/helpers",
	} {
		if got := faults(house{module + name: {}}); len(got) != 1 {
			t.Errorf("package %q: %v", module+name, got)
		}
	}
}

// listHouse asks the go command for our packages and their imports of each other. What a
// package reaches through another one of ours is held at that one.
func listHouse(t *testing.T) house {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	h := make(house)
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var pkg struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := decoder.Decode(&pkg); errors.Is(err, io.EOF) {
			return h
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		entry := h[pkg.ImportPath]
		entry.code = pkg.Imports
		entry.tests = append(pkg.TestImports, pkg.XTestImports...)
		h[pkg.ImportPath] = entry
	}
}
