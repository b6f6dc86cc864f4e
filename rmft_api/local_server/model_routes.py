"""`/v1/models`: list, get, delete."""

from aiohttp import web

from rmft_api.local_server.models import Catalogue


class ModelRoutes:
    """Handlers over the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def list(self, request: web.Request) -> web.Response:
        """GET /v1/models."""
        models = [model.json() for model in self._catalogue.all()]
        return web.json_response({"object": "list", "data": models})

    async def get(self, request: web.Request) -> web.Response:
        """GET /v1/models/{id}."""
        return web.json_response(self._catalogue.find(request.match_info["id"]).json())

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /v1/models/{id}, for fine-tunes and checkpoints."""
        model = request.match_info["id"]
        await self._catalogue.delete(model)
        return web.json_response({"id": model, "object": "model", "deleted": True})
