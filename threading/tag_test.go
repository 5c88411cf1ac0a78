package threading

import (
	"slices"
	"strings"
	"testing"
)

func TestTags(t *testing.T) {
	keys := Keys{"T", "DESK"}
	for _, tt := range []struct {
		subject string
		want    []int64
	}{
		{"[T#10001] Printer", []int64{10001}},
		{"Re: AW: Fwd: [T#10001] Printer", []int64{10001}},
		{"答复: [t#10001] Printer", []int64{10001}},
		{"[ T # 10001 ] Printer", []int64{10001}},
		{"Printer [DESK#7]", []int64{7}},
		{"[T#1] and [T#2]", []int64{1, 2}},
		{"［Ｔ＃１０００１］ full width", []int64{10001}},
		{"[[T#10001]]", []int64{10001}},
		{"[10001] a number alone", nil},
		{"T#10001 without brackets", nil},
		{"[X#10001] another key", nil},
		{"[TT#10001] a longer key", nil},
		{"[T#010001] leading zeros", nil},
		{"[T#] no number", nil},
		{"[T#10001 unclosed", nil},
		{"[T#10001x]", nil},
		{"[T#99999999999999999999] too long", nil},
		{"", nil},
	} {
		if got := keys.Tags(tt.subject); !slices.Equal(got, tt.want) {
			t.Errorf("Tags(%q) = %v, want %v", tt.subject, got, tt.want)
		}
	}
}

func TestReferencesAreWords(t *testing.T) {
	keys := Keys{"T"}
	for _, tt := range []struct {
		text string
		want []int64
	}{
		{"about T#10001", []int64{10001}},
		{"t#10001: more", []int64{10001}},
		{"(T#10001)", []int64{10001}},
		{"[T#10001] is a tag", nil},
		{"AT#10001", nil},
		{"T#10001a", nil},
		{"##T#10001", nil},
		{"T #10001", nil},
	} {
		if got := keys.References(tt.text); !slices.Equal(got, tt.want) {
			t.Errorf("References(%q) = %v, want %v", tt.text, got, tt.want)
		}
	}
}

func TestSubjectCarriesTheTagOnce(t *testing.T) {
	keys := Keys{"T"}
	for _, tt := range []struct {
		subject, place string
		reply          bool
		want           string
	}{
		{"Printer", tagPrepend, false, "[T#10001] Printer"},
		{"Printer", tagPrepend, true, "Re: [T#10001] Printer"},
		{"Re: AW: [T#10001] Printer", tagPrepend, true, "Re: [T#10001] Printer"},
		{"Re[2]: Printer [t# 10001]", tagPrepend, true, "Re: [T#10001] Printer"},
		{"Printer", tagAppend, true, "Re: Printer [T#10001]"},
		{"Re: [T#10001] Printer", tagOff, true, "Re: Printer"},
		{"答复：Printer", tagPrepend, true, "Re: [T#10001] Printer"},
		{"Regarding: Printer", tagPrepend, true, "Re: [T#10001] Regarding: Printer"},
		{"[Other] Printer", tagPrepend, false, "[T#10001] [Other] Printer"},
		{"", tagPrepend, true, "Re: [T#10001]"},
	} {
		if got := keys.Subject(tt.subject, 10001, tt.place, tt.reply); got != tt.want {
			t.Errorf("Subject(%q, %s, reply %v) = %q, want %q", tt.subject, tt.place, tt.reply, got, tt.want)
		}
	}
}

// T29: hostile subjects cost no more than their length.
func TestT29HostileSubjects(t *testing.T) {
	keys := Keys{"T"}
	for _, unit := range []string{"Re: ", "[#", "[[[[", "[T#", "[T#1]", "T#"} {
		subject := strings.Repeat(unit, 1<<20/len(unit))
		if got := len(keys.Tags(subject)); got > maxTags {
			t.Errorf("%q: %d tags", unit, got)
		}
		keys.References(subject)
		keys.Without(subject + "]")
		keys.Subject(subject+"]", 10001, tagPrepend, true)
	}
}

func FuzzSubject(f *testing.F) {
	f.Add("Re: [T#10001] Printer")
	f.Add("[ t # 10001 ]")
	f.Add("答复：[T#1][T#2]")
	keys := Keys{"T"}
	f.Fuzz(func(t *testing.T, subject string) {
		made := keys.Subject(subject, 10001, tagPrepend, true)
		if n := len(keys.Tags(made)); n != 1 && len(made) < maxTagScan {
			t.Errorf("Subject(%q) = %q has %d tags", subject, made, n)
		}
		for _, n := range keys.Tags(subject) {
			if n <= 0 {
				t.Errorf("Tags(%q) gives %d", subject, n)
			}
		}
	})
}
