// What eslint looks for in the page, its tests and its tools. Names that are not there are found by tsc.

import js from "@eslint/js";

/** Text of a server must never become elements or code. */
const MARKUP = ["innerHTML", "outerHTML"].map((name) => ({
    selector: `AssignmentExpression[left.property.name="${name}"]`,
    message: "Text of a server must not become elements: set textContent.",
}));

export default [
    js.configs.recommended,
    {
        languageOptions: { ecmaVersion: 2022, sourceType: "module" },
        linterOptions: { reportUnusedDisableDirectives: "error" },
        rules: {
            "no-undef": "off",
            "no-unused-vars": ["error", { argsIgnorePattern: "^_", caughtErrors: "all" }],
            eqeqeq: "error",
            "no-var": "error",
            "prefer-const": "error",
            "no-eval": "error",
            "no-implied-eval": "error",
            "no-new-func": "error",
            "no-restricted-syntax": ["error", ...MARKUP],
            "no-restricted-properties": [
                "error",
                { property: "insertAdjacentHTML" },
                { object: "document", property: "write" },
            ],
            "max-len": ["error", { code: 120 }],
            quotes: ["error", "double", { avoidEscape: true }],
            semi: "error",
        },
    },
    {
        files: ["spice/web/page/**"],
        rules: { "no-console": "error" },
    },
];
