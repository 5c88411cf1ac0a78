package api_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/visibility.txt anew")

// visibility is the table of what each path of the API answers to each of the
// people: an empty request to things of the channel Support. The matrix says what
// must be; this is what is, for people to read, and to see in a change who gets to
// see more by it.
type visibility map[string][]string

const visibilityFile = "testdata/visibility.txt"

func (v visibility) note(route, code string) { v[route] = append(v[route], code) }

// String writes the table by path. What takes its thing away is not tried by the
// admin.
func (v visibility) String() string {
	byPath := func(a, b string) int {
		methodA, pathA, _ := strings.Cut(a, " ")
		methodB, pathB, _ := strings.Cut(b, " ")
		return strings.Compare(pathA+" "+methodA, pathB+" "+methodB)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-72s", "# go test ./gateway/api -run EveryRoute -update")
	columns := append(slices.Clone(people), reader)
	for _, who := range columns {
		fmt.Fprintf(&b, " %-9s", who)
	}
	for _, route := range slices.SortedFunc(maps.Keys(v), byPath) {
		fmt.Fprintf(&b, "\n%-72s", route)
		for i := range columns {
			code := "-"
			if i < len(v[route]) {
				code = v[route][i]
			}
			fmt.Fprintf(&b, " %-9s", code)
		}
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

func (v visibility) check(t *testing.T) {
	t.Helper()
	for route, codes := range v {
		if strings.Contains(route, " /tickets/{number}") && codes[slices.Index(people, "outsider")] != "404" {
			t.Errorf("an outsider gets more than a 404 of %s", route)
		}
	}
	if *update {
		if err := os.WriteFile(visibilityFile, []byte(v.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(visibilityFile)
	if err != nil {
		t.Fatal(err)
	}
	was, is := strings.Split(string(kept), "\n"), strings.Split(v.String(), "\n")
	for _, line := range is {
		if !slices.Contains(was, line) {
			t.Errorf("is now: %s", line)
		}
	}
	for _, line := range was {
		if !slices.Contains(is, line) {
			t.Errorf("was:    %s", line)
		}
	}
}
