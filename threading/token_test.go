package threading

import (
	"strings"
	"testing"
	"unicode/utf8"

	"ticketgate/store"
	"ticketgate/threading/message"
)

func mustTokens(t testing.TB, secrets ...string) *Tokens {
	t.Helper()
	tokens, err := NewTokens(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestTokenNamesWhatItWasMintedFor(t *testing.T) {
	tokens := mustTokens(t, "one")
	id := store.NewID()
	token := tokens.Activity(id)
	if len(token) != tokenLength || strings.ToLower(token) != token {
		t.Fatalf("token %q: want %d lower-case characters", token, tokenLength)
	}
	for _, form := range []string{token, strings.ToUpper(token)} {
		if got, ok := tokens.activity(form); !ok || got != id {
			t.Errorf("%q names %q, %v; want %q", form, got, ok, id)
		}
	}
	if _, ok := tokens.delivery(token); ok {
		t.Error("an activity's token passed for a delivery's")
	}
	if got, ok := tokens.inMessageID(token + ".abc@example.test"); !ok || got != id {
		t.Errorf("in a Message-ID it names %q, %v", got, ok)
	}
}

// T05: tokens of others, cut and changed ones are none.
func TestT05ForgedTokensAreNone(t *testing.T) {
	tokens := mustTokens(t, "one")
	token := tokens.Activity(store.NewID())
	if _, ok := mustTokens(t, "two").activity(token); ok {
		t.Error("another desk's token is valid")
	}
	for i := range token {
		changed := []byte(token)
		changed[i] = 'a' + (changed[i]-'a'+1)%26
		if string(changed) == token {
			continue
		}
		got, ok := tokens.activity(string(changed))
		original, _ := tokens.activity(token)
		// the last character holds padding bits as well; they may not matter,
		// but what the token names must never change
		if ok && got != original {
			t.Errorf("with character %d changed it names %q", i, got)
		}
		if ok && i < len(token)-1 {
			t.Errorf("with character %d changed it is valid", i)
		}
	}
	for _, bad := range []string{"", token[1:], token + "a", strings.Repeat("a", tokenLength), token[:44] + "!"} {
		if _, ok := tokens.activity(bad); ok {
			t.Errorf("%q is valid", bad)
		}
	}
}

func TestTokensOutliveTheRotationOfTheSecret(t *testing.T) {
	id := store.NewID()
	old := mustTokens(t, "old").Delivery(id)
	if got, ok := mustTokens(t, "new", "old").delivery(old); !ok || got != id {
		t.Errorf("after the rotation it names %q, %v", got, ok)
	}
	if _, ok := mustTokens(t, "new").delivery(old); ok {
		t.Error("it is valid after its secret was taken off the list")
	}
}

func TestLoopMark(t *testing.T) {
	tokens := mustTokens(t, "new", "old")
	if mark := mustTokens(t, "old").LoopMark("m1"); !tokens.isLoopMark(" " + mark) {
		t.Error("a mark of ours was not known again")
	}
	for _, forged := range []string{"", "m1", "m1.", "m1.aaaaaaaaaaaaaaaa", "m2." + strings.SplitN(tokens.LoopMark("m1"), ".", 2)[1]} {
		if tokens.isLoopMark(forged) {
			t.Errorf("%q passes for a mark of ours", forged)
		}
	}
}

// FuzzThreadIDs feeds In-Reply-To and References through reading and tokens:
// what comes out is clean, bounded and each id once, and no token is valid that
// was not minted.
func FuzzThreadIDs(f *testing.F) {
	tokens, err := NewTokens([]string{"one"})
	if err != nil {
		f.Fatal(err)
	}
	const activity = "01a21097-256c-7cff-bc60-9849f67e1418"
	minted := tokens.Activity(activity)
	f.Add("<a@b.example>", "<x@y.example> <z@y.example>")
	f.Add("<"+minted+".1@desk.example>", "<"+strings.ToUpper(minted)+".2@desk.example>")
	f.Add("Ann's mail of Sunday <a@b>", "<a@b> <a@b> <<c@d>>")
	f.Add(minted[:44]+"!.1@x", "<"+minted+"@x> <\r\n folded@x>")
	f.Add("no brackets@x.example", strings.Repeat("<", 500))
	f.Fuzz(func(t *testing.T, inReplyTo, references string) {
		m := &filing{delivered: &delivered{Incoming: Incoming{Message: &message.Message{
			InReplyTo: message.ParseIDs(inReplyTo), References: message.ParseIDs(references),
		}}}}
		seen := map[string]bool{}
		for _, id := range m.threadIDs() {
			if id == "" || seen[id] || strings.ContainsAny(id, "<>\r\n\x00 ") || !utf8.ValidString(id) || len(id) > 998 {
				t.Fatalf("id %q", id)
			}
			seen[id] = true
			got, ok := tokens.inMessageID(id)
			if ok && (got != activity || !strings.EqualFold(id[:tokenLength-1], minted[:tokenLength-1])) {
				t.Fatalf("%q is a token of %q", id, got)
			}
			if ok && !tokenInMessageID(id) {
				t.Fatalf("%q is valid, and does not look like a token", id)
			}
		}
		if len(seen) > 400 {
			t.Fatalf("%d ids", len(seen))
		}
	})
}
