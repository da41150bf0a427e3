package rules

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var codeBlock = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// connectorPages returns the pages for connector authors by name.
func connectorPages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root(t), "docs", "connectors", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	pages := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages[relative(t, file)] = string(content)
	}
	return pages
}

// compiled is all code that connector authors may see, one file after the other.
func compiled(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(root(t), "sdk"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		content, err := os.ReadFile(path)
		all.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// uncompiled lists blocks by their first line, and why they are not.
var uncompiled = map[string]string{
	"func TestConformance(t *testing.T) {": "the shortest form; the one that connector new writes is built and run",
}

// TestGoCodeOfThePagesIsCompiled: each block is a part of a file of the SDK, so
// that it is built and tested there. A block that is shown less indented is not
// found: cut whole lines.
func TestGoCodeOfThePagesIsCompiled(t *testing.T) {
	t.Parallel()
	code, blocks, used := compiled(t), 0, map[string]bool{}
	for name, page := range connectorPages(t) {
		for _, block := range codeBlock.FindAllStringSubmatch(page, -1) {
			switch block[1] {
			case "go":
				blocks++
				first, _, _ := strings.Cut(block[2], "\n")
				if uncompiled[first] != "" {
					used[first] = true
				} else if !strings.Contains(code, block[2]) {
					t.Errorf("%s shows code that is nowhere in the SDK:\n%s", name, block[2])
				}
			case "json":
				var value any
				if err := json.Unmarshal([]byte(strings.ReplaceAll(block[2], "…", "")), &value); err != nil {
					t.Errorf("%s shows JSON that is none: %v\n%s", name, err, block[2])
				}
			}
		}
	}
	for first := range uncompiled {
		if !used[first] {
			t.Errorf("no page shows %q any more: take it out of the list", first)
		}
	}
	if blocks < 8 {
		t.Errorf("only %d blocks of Go code were found", blocks)
	}
}

var link = regexp.MustCompile(`\]\(([^)\s#]*)(#[^)\s]*)?\)`)

// TestLinksOfThePagesLeadSomewhere looks at links within the repository.
func TestLinksOfThePagesLeadSomewhere(t *testing.T) {
	t.Parallel()
	for name, page := range connectorPages(t) {
		page = codeBlock.ReplaceAllString(page, "")
		for _, found := range link.FindAllStringSubmatch(page, -1) {
			to, part := found[1], strings.TrimPrefix(found[2], "#")
			if strings.Contains(to, "://") {
				continue
			}
			file := filepath.Join(root(t), filepath.Dir(name), to)
			if to == "" {
				file = filepath.Join(root(t), name)
			}
			content, err := os.ReadFile(file)
			if info, statErr := os.Stat(file); statErr == nil && info.IsDir() {
				continue
			}
			if err != nil {
				t.Errorf("%s leads to %s, which is not there", name, to)
			} else if part != "" && !hasHeading(string(content), part) {
				t.Errorf("%s leads to #%s in %s, which has no such heading", name, part, to)
			}
		}
	}
}

var (
	heading  = regexp.MustCompile(`(?m)^#+ (.*)$`)
	unlinked = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// hasHeading makes anchors the way that the usual viewers do.
func hasHeading(page, anchor string) bool {
	for _, found := range heading.FindAllStringSubmatch(page, -1) {
		text := unlinked.ReplaceAllString(strings.ToLower(found[1]), "")
		if strings.ReplaceAll(text, " ", "-") == anchor {
			return true
		}
	}
	return false
}
