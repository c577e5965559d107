"""Croissant metadata of a data set (https://docs.mlcommons.org/croissant, version 1.1)."""

from __future__ import annotations

from typing import Any

from caco_data.dataset.layout import INDEX, LOCATIONS, SHARDS, shard_file
from caco_data.dataset.reader import Dataset

#: JSON-LD context of the specification.
_CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs",
    "column": "cr:column", "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract",
    "field": "cr:field", "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet", "format": "cr:format", "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key",
    "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated",
    "replace": "cr:replace", "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/", "separator": "cr:separator",
    "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip
_CITATION = (
    "Mall, Hariharan, Bala: Change-Aware Sampling and Contrastive Learning for Satellite Images, "
    "CVPR 2023"
)
#: Columns of the index in the record set, and their types.
_COLUMNS = {
    "location_id": "sc:Integer", "period": "sc:Text", "t": "sc:Integer", "image_id": "sc:Text",
    "acquired": "sc:DateTime", "cloud_pct": "sc:Float", "clear_fraction": "sc:Float",
    "crs": "sc:Text", "shard": "sc:Text", "offset": "sc:Integer", "nbytes": "sc:Integer",
}  # fmt: skip


def croissant_metadata(dataset: Dataset) -> dict[str, Any]:
    """Croissant metadata: the files with their digests, and the columns of the index.

    Parameters
    ----------
    dataset : Dataset
        The data set; paths in the metadata are relative to its folder.

    Returns
    -------
    dict
        JSON-LD values.
    """
    meta = dataset.meta
    source = meta.get("source", {})
    tables = {name: meta["tables"][name] for name in (INDEX, LOCATIONS) if name in meta["tables"]}
    files = [_file(name, sha256, "application/x-parquet") for name, sha256 in tables.items()]
    files += [
        _file(shard_file(one["name"]), one["sha256"], "application/x-tar", one["nbytes"])
        for one in meta["shards"]
    ]
    record_set = {
        "@type": "cr:RecordSet",
        "@id": "tiles",
        "name": "tiles",
        "description": f"One row per tile: its date, position and place in {SHARDS}.",
        "field": [_field(name, kind) for name, kind in _COLUMNS.items()],
    }
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"caco-data-{dataset.digest[:12]}",
        "description": f"Early and late Sentinel-2 stacks of {meta['counts']['complete']} "
        f"locations from {source.get('name', 'an unknown source')}.",
        "license": "https://sentinels.copernicus.eu/documents/247904/690755/"
        "Sentinel_Data_Legal_Notice",
        "url": "https://github.com/caco-data/caco-data",
        "version": "1.0.0",
        "datePublished": max(dataset.index["acquired"].to_pylist()).date().isoformat(),
        "citeAs": _CITATION,
        "creator": {"@type": "sc:Organization", "name": "caco-data"},
        "distribution": files,
        "recordSet": [record_set],
    }


def _file(name: str, sha256: str, kind: str, nbytes: int | None = None) -> dict[str, Any]:
    size = {} if nbytes is None else {"contentSize": f"{nbytes} B"}
    return {
        "@type": "cr:FileObject", "@id": name, "name": name, "contentUrl": name,
        "encodingFormat": kind, "sha256": sha256, **size,
    }  # fmt: skip


def _field(name: str, kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field", "@id": f"tiles/{name}", "name": name, "dataType": kind,
        "source": {"fileObject": {"@id": INDEX}, "extract": {"column": name}},
    }  # fmt: skip
