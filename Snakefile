# The study as a table of contents, in the order in which data flows.
# `snakemake --cores 8` runs config/default.yaml; --configfile takes another study, in one file or more,
# of which a later one adds to those before it.

from snakemake.utils import min_version

min_version("9.27")


if not workflow.overwrite_configfiles:

    configfile: "config/stand-ins.yaml"
    configfile: "config/default.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/sharing.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/diagnostic.smk"


rule all:
    default_target: True
    input:
        rules.tables.output,
        rules.figures.output,
        rules.report.output,


# Snakemake has no handler for the end of a dry run.
if workflow.output_settings.dryrun:
    atexit.register(show_estimate)


onstart:
    hasten_jobs()


onsuccess:
    show_results()


onerror:
    show_errors()
