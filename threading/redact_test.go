package threading

import "testing"

// An address that holds the person's is another one's.
func TestRedactingLeavesLongerAddresses(t *testing.T) {
	r := newRedactor(traits{addresses: []string{"smith@x.example"}, names: []string{"Smith"}}, false)
	for text, want := range map[string]string{
		"smith@x.example": "[erased]", "<SMITH@X.example>": "<[erased]>", "ask smith@x.example.": "ask [erased].",
		"smith+a.b@x.example, you": "[erased], you", "mailto:smith@x.example?x": "mailto:[erased]?x", "...smith@x.example-": "...[erased]-",
		"- smith@x.example": "- [erased]", "jo.smith@x.example": "jo.smith@x.example", "jo-smith@x.example": "jo-smith@x.example",
		"\u00fcsmith@x.example": "\u00fcsmith@x.example", "smith@x.example.org": "smith@x.example.org", "smith@x.example-y.org": "smith@x.example-y.org",
		"smith@x.example.pdf": "[erased].pdf", "blacksmith@x.example": "blacksmith@x.example", "Mr Smith": "Mr [erased]",
	} {
		if got := r.plain(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if got := r.json(`{"from":[{"name":"Jo Smith","address":"jo.smith@x.example"},{"name":"S","address":"smith@x.example"}]}`); got !=
		`{"from":[{"address":"jo.smith@x.example","name":"Jo [erased]"}]}` {
		t.Errorf("a list: %s", got)
	}
}
