package main

import (
	"fmt"
	"go/ast"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"
)

// A phrase is a way of putting things that a reviewer counts in comments.
type phrase struct {
	name    string
	pattern *regexp.Regexp
	goal    string // times per 1,000 words
}

// phrases returns what is counted, in the order in which it is printed. The
// noun clauses ("what is", "where there is none", "is no") are wanted rarely.
func phrases() []phrase {
	p := func(name, pattern, goal string) phrase {
		return phrase{name, regexp.MustCompile(`(?i)\b(?:` + pattern + `)\b`), goal}
	}
	return []phrase{
		p("if", `if`, ">= 10"),
		p("returns", `returns`, ">= 8"),
		p("reports whether", `reports whether`, ""),
		p("where", `where`, "<= 1"),
		p("what is/was/it", `what (?:is|are|was|were|it|they|has|had|can|cannot|a|an|the|there)`, "< 0.5"),
		p("says that/whether", `(?:says|say|tells|tell) (?:that|whether|if)`, "< 0.2"),
		p("gives", `gives`, "< 0.5"),
		p("is no X", `(?:is|are|was|were) no`, "rare"),
		p("where there is none", `where there (?:is|are|was|were)(?: none)?`, "rare"),
		p("lacks", `lacks?`, "rare"),
		p("beside", `beside`, "rare"),
		p("goes by", `(?:goes|go) by`, "rare"),
		p("stands, lies", `stands|lies`, "rare"),
	}
}

// printWords prints how often each phrase is used in comments.
func (t *tree) printWords(w io.Writer) {
	code, tests := comments(t.files, false), comments(t.files, true)
	words := regexp.MustCompile(`[A-Za-z][A-Za-z'’]*`)
	nCode, nTests := len(words.FindAllString(code, -1)), len(words.FindAllString(tests, -1))
	fmt.Fprintf(w, "\ncomments: %d words in code, %d in tests; per 1,000 words\n", nCode, nTests)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "phrase\tcode\ttests\tgoal\n")
	for _, p := range phrases() {
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%s\n", p.name,
			per1000(p.pattern, code, nCode), per1000(p.pattern, tests, nTests), p.goal)
	}
	table.Flush()
}

// per1000 returns how often the pattern is in text, which has that many
// words, for each thousand of them.
func per1000(pattern *regexp.Regexp, text string, words int) float64 {
	if words == 0 {
		return 0
	}
	return 1000 * float64(len(pattern.FindAllString(text, -1))) / float64(words)
}

// comments returns the comments of the tests, or of the other files, on one
// line, without directives.
func comments(files []file, test bool) string {
	var b strings.Builder
	for _, f := range files {
		if f.test != test {
			continue
		}
		for _, group := range f.ast.Comments {
			b.WriteString(strings.Join(strings.Fields((&ast.CommentGroup{List: group.List}).Text()), " "))
			b.WriteString("\n")
		}
	}
	return b.String()
}
